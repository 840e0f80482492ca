import type { Clock } from "#base/flow/clock.ts";
import { lookUntil } from "#base/flow/lookUntil.ts";
import { type RunControl, type RunState, type SeenRun, stateOf } from "#source/capture/captureLifecycle.ts";

/** How often the run's record is looked at, ms. */
const LOOK_MS = 50;

export type WatchRunDeps = Readonly<{
  control: RunControl;
  clock: Clock;
  signal: AbortSignal;
  /** Every new state and phase. */
  say: (seen: SeenRun, state: RunState) => void;
}>;

/** Looks until `enough`. @throws FERRY_RUN_NONE, FERRY_MONGO_*, the signal's reason */
export const watchRun = async (
  { control, clock, signal, say }: WatchRunDeps,
  enough: (seen: SeenRun, state: RunState) => boolean,
): Promise<SeenRun> => {
  let said = "";
  return lookUntil(LOOK_MS, { clock, signal }, async () => {
    signal.throwIfAborted();
    const seen = await control.seen();
    const state = stateOf(seen.record);
    if (enough(seen, state)) return seen;
    const now = `${state} ${seen.record.phase} ${seen.owned}`;
    if (now !== said) say(seen, state);
    said = now;
    return undefined;
  });
};
