import type { DeadLetterStore } from "#apply/deadletter/deadLetterStore.ts";
import type { DeadLetterRecord } from "#apply/deadletter/letterRecords.ts";
import { livingWorkers } from "#apply/lanes/livingWorkers.ts";
import type { Clock } from "#base/flow/clock.ts";
import { lookUntil } from "#base/flow/lookUntil.ts";
import type { StateDb } from "#io/state/stateDb.ts";

/** The outcome of decided letters within the time given. */
export type Decided = Readonly<{
  done: number;
  refused: readonly Readonly<{ id: string; code: string; reason: string }>[];
  /** Decided and not carried out. */
  open: number;
  workers: number;
}>;

export type DecisionDeps = Readonly<{
  store: DeadLetterStore;
  state: StateDb;
  clock: Clock;
  waitMs: number;
}>;

const LOOK_MS = 200;

/** Waits until the owners of the partitions have carried decisions out; returns early if no process is there to do it. */
export const awaitDecided = async (
  chosen: readonly DeadLetterRecord[],
  { store, state, clock, waitMs }: DecisionDeps,
): Promise<Decided> => {
  const attempts = new Map(chosen.map(({ _id, attempts: n }) => [_id, n]));
  const ids = [...attempts.keys()];
  const deadline = clock.now() + waitMs;
  return lookUntil(LOOK_MS, { clock }, async () => {
    const left = await store.list({ ids }, ids.length + 1);
    const refused = left.filter(({ _id, state, attempts: n }) => state === "waiting" && n > (attempts.get(_id) ?? 0));
    const open = left.length - refused.length;
    const workers = await livingWorkers(state);
    const behind = left.every(({ state }) => state === "waiting"); // what waits behind a refused one stays where it is
    const isOver = open === 0 || (refused.length > 0 && behind) || workers === 0 || clock.now() > deadline;
    if (!isOver) return undefined;
    return {
      done: ids.length - left.length,
      refused: refused.map(({ _id, code, reason }) => ({ id: _id, code, reason })),
      open,
      workers,
    };
  });
};

/** Waits until a worker has announced itself, or the time is over. */
export const awaitWorker = async ({ state, clock, waitMs }: Omit<DecisionDeps, "store">): Promise<void> => {
  const deadline = clock.now() + waitMs;
  await lookUntil(LOOK_MS, { clock }, async () => (await livingWorkers(state)) > 0 || clock.now() >= deadline);
};
