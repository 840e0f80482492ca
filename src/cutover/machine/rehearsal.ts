import { FerryError } from "#base/errors/ferryError.ts";
import type { Clock } from "#base/flow/clock.ts";
import { translated } from "#io/mongo/errors.ts";
import type { StateDb } from "#io/state/stateDb.ts";
import type { FenceKind, Parts, SourceTime } from "./parts.ts";

/** `ferry.rehearsals`, one record: what the last rehearsal measured. */
export type RehearsalRecord = {
  _id: "last";
  at: Date;
  /** ms, by step. */
  parts: Record<string, number>;
  pauseMs: number;
};

export type RehearsalDeps = Readonly<{
  parts: Parts;
  /** A time of the source, asked now: what the fence's would be. */
  now: () => Promise<SourceTime>;
  clock: Clock;
  signal: AbortSignal;
  maxPauseMs: number;
}>;

/** What raising a fence takes on a source that nothing holds up, ms (shared/facts: 22 ms and 2 ms were measured). */
const FENCE_MS: Readonly<Record<FenceKind, number>> = { "user-write-block": 25, validator: 10, hook: 50, none: 0 };

/** What is no fault while services write. */
const EXPECTED = ["FERRY_SOURCE_WRITES", "FERRY_RUN_BEHIND"];

/**
 * Everything of a cutover except the fence, while services keep writing: what the pause would be made of. Nothing is restored and no service
 * is sent anywhere, so their time is not in it.
 * @throws what is missing; FERRY_CUTOVER_PAUSE where the drain alone takes longer than the limit
 */
export const rehearse = async (deps: RehearsalDeps): Promise<Omit<RehearsalRecord, "_id" | "at">> => {
  const { parts, now, clock, maxPauseMs } = deps;
  const late = AbortSignal.timeout(maxPauseMs);
  const signal = AbortSignal.any([deps.signal, late]);
  const laps: Record<string, number> = { fencing: FENCE_MS[parts.fence.kind] };
  const lap = async (name: string, work: () => Promise<unknown>): Promise<void> => {
    const begun = clock.now();
    await work();
    laps[name] = clock.now() - begun;
  };
  await parts.capture.hurry(true);
  try {
    await parts.proof.approach(deps.signal);
    const at = await now();
    await lap("draining", () => parts.capture.drainTo(at, signal));
    await lap("proving", async () => {
      const missing = await parts.proof.missing(at, signal);
      if (missing !== undefined && !EXPECTED.includes(missing.code)) throw missing;
    });
  } catch (error) {
    if (!late.aborted) throw error;
    throw new FerryError("FERRY_CUTOVER_PAUSE", `not everything was on the target within ${maxPauseMs} ms`);
  } finally {
    await parts.capture.hurry(false);
  }
  return { parts: laps, pauseMs: Object.values(laps).reduce((sum, ms) => sum + ms, 0) };
};

/** What rehearsals have measured. Both methods throw FERRY_MONGO_*. */
export class RehearsalStore {
  readonly #records;

  constructor(state: StateDb) {
    this.#records = state.collection<RehearsalRecord>("rehearsals");
  }

  async note(measured: Omit<RehearsalRecord, "_id" | "at">): Promise<void> {
    await translated("noting the rehearsal", () =>
      this.#records.replaceOne({ _id: "last" }, { ...measured, at: new Date() }, { upsert: true }),
    );
  }

  async last(): Promise<RehearsalRecord | undefined> {
    return (await translated("reading the rehearsal", () => this.#records.findOne({ _id: "last" }))) ?? undefined;
  }
}
