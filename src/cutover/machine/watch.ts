import { FerryError, isFerry } from "#base/errors/ferryError.ts";
import type { Clock } from "#base/flow/clock.ts";
import { lookUntil } from "#base/flow/lookUntil.ts";
import { retryForever } from "#base/flow/retry.ts";
import type { CutoverStore } from "./cutoverStore.ts";
import { isEnd, mayHaveReleased, TABLE } from "./cutoverTable.ts";
import { Machine, type MachineDeps, WAY_BACK_MS } from "./machine.ts";
import type { Seen, State } from "./record.ts";

export type WatchDeps = Omit<MachineDeps, "memory"> &
  Readonly<{
    memory: Pick<CutoverStore, "latest" | "take" | "move" | "renew" | "leave">;
    /** Which cutover. */
    id: number;
    clock: Clock;
  }>;

/** How often the record is looked at, ms. */
const LOOK_MS = 50;

/** Services can write again, or were sent on: the rest needs no watcher. */
const isPast = (state: State): boolean => isEnd(state) || state === "ending";

/** Is the process that drives the cutover gone, or the fence up for too long? */
const mustAct = ({ record: { state, maxPauseMs }, free, pausedMs }: Seen): boolean => {
  const goesBack = (TABLE[state].paused && !mayHaveReleased(state)) || state === "lifting";
  return free || (goesBack && pausedMs >= maxPauseMs - WAY_BACK_MS / 2);
};

/** Why it goes back: undefined where its process is gone. */
const reasonOf = ({ record: { state, maxPauseMs }, free }: Seen): FerryError | undefined =>
  free
    ? undefined
    : new FerryError("FERRY_CUTOVER_PAUSE", `services would have waited for ${maxPauseMs} ms while ${state}`);

/** It has gone on meanwhile: another look tells how far. */
const unlessTaken = (error: unknown): undefined => {
  if (!isFerry(error, "FERRY_CUTOVER_TAKEN")) throw error;
  return undefined;
};

/**
 * Watches a cutover from another process, until it needs no watcher. If the process that drives it is gone, or the
 * fence stays up for too long, this one takes it over: back, or forward where services may have been sent to the target.
 * @throws FERRY_CUTOVER_TAKEN where yet another process did so, FERRY_MONGO_*
 */
export const watch = async (deps: WatchDeps): Promise<void> => {
  const { memory, clock, id, signal, onRetry } = deps;
  const patience = { what: "watching the cutover", clock, signal, onRetry };
  await lookUntil(LOOK_MS, { clock, signal }, async () => {
    const seen = await retryForever(() => memory.latest(), patience);
    if (seen === undefined || seen.record._id !== id || isPast(seen.record.state)) return true;
    if (!mustAct(seen)) return false;
    const mine = await retryForever(() => memory.take(seen.record, "force"), patience).catch(unlessTaken);
    if (mine === undefined) return false;
    const left = await new Machine(deps, mine).resume(mine.record, isPast, reasonOf(seen));
    if (!isEnd(left.state)) await memory.leave(left); // what takes long is for `ferry cutover`, as soon as it is started again
    return true;
  });
};
