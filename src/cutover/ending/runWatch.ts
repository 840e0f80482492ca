import { FerryError } from "#base/errors/ferryError.ts";
import type { Clock } from "#base/flow/clock.ts";
import { type RunControl, type RunState, stateOf } from "#source/capture/captureLifecycle.ts";
import type { StoredCapture } from "#source/capture/captureStore.ts";

/** How often the run's record is looked at, ms. */
const LOOK_MS = 50;

/** A run's record, and whether a process owns it now. */
export type SeenRun = Readonly<{ record: StoredCapture; owned: boolean }>;

/** @throws FERRY_RUN_NONE, FERRY_MONGO_* */
export const readRun = async (control: RunControl): Promise<SeenRun> => {
  const found = await control.read();
  if (found === undefined) throw new FerryError("FERRY_RUN_NONE", "there is no run on this target");
  return found;
};

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
  for (;;) {
    signal.throwIfAborted();
    const seen = await readRun(control);
    const state = stateOf(seen.record);
    if (enough(seen, state)) return seen;
    const now = `${state} ${seen.record.phase} ${seen.owned}`;
    if (now !== said) say(seen, state);
    said = now;
    await clock.sleep(LOOK_MS, signal);
  }
};
