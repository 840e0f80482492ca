import { FerryError } from "#base/errors/ferryError.ts";
import type { Clock } from "#base/flow/clock.ts";
import { timeLimit } from "#base/flow/timeLimit.ts";
import { translated } from "#io/mongo/errors.ts";
import type { StateDb } from "#io/state/stateDb.ts";
import { TABLE } from "./cutoverTable.ts";
import type { FenceKind, Parts, SourceTime } from "./parts.ts";

/** What a rehearsal measured: ms by step of the pause, and their sum. */
export type Rehearsed = Readonly<{ parts: Readonly<Record<string, number>>; pauseMs: number }>;

/** What was rehearsed: of the source, empty where it was everything. */
export type RehearsedOf = Readonly<{ namespaces: readonly string[] }>;

/** `ferry.rehearsals`: `last` is the last one that came to its end; `underway` is written where a cutover writes its state. */
export type RehearsalRecord = { _id: "last" | "underway"; at: Date } & Rehearsed & RehearsedOf;

export type RehearsalDeps = Readonly<{
  parts: Parts;
  /** A time of the source, asked now: what the fence's would be. */
  now: () => Promise<SourceTime>;
  /** A durable write, as the cutover makes one for each state: services wait for it too. */
  remember: (laps: Readonly<Record<string, number>>) => Promise<void>;
  clock: Clock;
  signal: AbortSignal;
  maxPauseMs: number;
}>;

/** What raising a fence takes on a source that nothing holds up, ms (shared/facts: 22 ms and 2 ms were measured). */
const FENCE_MS: Readonly<Record<FenceKind, number>> = { "user-write-block": 25, validator: 10, hook: 50, none: 0 };

/** What is no fault while services write. */
const EXPECTED = ["FERRY_SOURCE_WRITES", "FERRY_RUN_BEHIND"];

/** Of the states that services wait in. */
type Paused = {
  [State in keyof typeof TABLE]: (typeof TABLE)[State]["paused"] extends true ? State : never;
}[keyof typeof TABLE];

/** What is done of a step while services keep writing. */
const trialsOf = ({ parts, now }: Pick<RehearsalDeps, "parts" | "now">, signal: AbortSignal) => {
  let at: SourceTime = 0n;
  return {
    fencing: async () => {
      at = await now();
    },
    draining: () => parts.capture.drainTo(at, signal),
    proving: async () => {
      const missing = await parts.proof.missing(at, signal);
      if (missing !== undefined && !EXPECTED.includes(missing.code)) throw missing;
    },
    restoring: async () => void (await parts.wayBack.position()),
    releasing: () => parts.services.trial(signal),
  } satisfies Record<Paused, () => Promise<void>>;
};

/** How often it is tried: a pause is made of a few moments of servers at work, and the first try finds nothing warm. */
const TRIES = 5;

/** One try. @returns ms by step. @throws what is missing; FERRY_CUTOVER_PAUSE where it takes longer than the limit */
const tryOnce = async ({ remember, clock, maxPauseMs, ...deps }: RehearsalDeps): Promise<Record<string, number>> => {
  const laps: Record<string, number> = {};
  const tooLong = new FerryError("FERRY_CUTOVER_PAUSE", `not everything was on the target within ${maxPauseMs} ms`);
  using late = timeLimit(maxPauseMs, clock, tooLong);
  const trials = trialsOf(deps, AbortSignal.any([deps.signal, late.signal]));
  try {
    for (const [state, trial] of Object.entries(trials)) {
      const begun = clock.now();
      if (TABLE[state as Paused].exclusive) await remember(laps);
      await trial();
      if (state !== "releasing") await remember(laps);
      laps[state] = clock.now() - begun;
    }
    return laps;
  } catch (error) {
    throw late.signal.aborted ? tooLong : error;
  }
};

/** The middle one, of an odd number. */
const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1] ?? 0;

/**
 * Everything of a cutover except the fence, while services keep writing: what the pause would be made of. Nothing is restored and
 * no service is sent anywhere, so of these two steps only what surrounds them is in it. Of several tries the median of each step.
 * @throws what is missing; FERRY_CUTOVER_PAUSE where it takes longer than the limit
 */
export const rehearse = async (deps: RehearsalDeps): Promise<Rehearsed> => {
  const { parts } = deps;
  const tries: Record<string, number>[] = [];
  await parts.capture.hurry(true);
  try {
    await parts.proof.approach(deps.signal);
    for (let n = 0; n < TRIES; n++) tries.push(await tryOnce(deps));
  } finally {
    await parts.capture.hurry(false);
  }
  const steps = Object.keys(tries[0] ?? {});
  const laps = Object.fromEntries(steps.map((step) => [step, median(tries.map((laps) => laps[step] ?? 0))]));
  laps["fencing"] = (laps["fencing"] ?? 0) + FENCE_MS[parts.fence.kind];
  return { parts: laps, pauseMs: Object.values(laps).reduce((sum, ms) => sum + ms, 0) };
};

/** What rehearsals have measured. All methods throw FERRY_MONGO_*. */
export class RehearsalStore {
  readonly #records;

  constructor(state: StateDb) {
    this.#records = state.collection<RehearsalRecord>("rehearsals");
  }

  /** As durable as a cutover's state. */
  underway(parts: Rehearsed["parts"]): Promise<void> {
    return this.#write("underway", { parts, pauseMs: 0, namespaces: [] });
  }

  note(measured: Rehearsed & RehearsedOf): Promise<void> {
    return this.#write("last", measured);
  }

  async #write(_id: RehearsalRecord["_id"], measured: Rehearsed & RehearsedOf): Promise<void> {
    const record = { ...measured, at: new Date() };
    await translated("noting the rehearsal", () => this.#records.replaceOne({ _id }, record, { upsert: true }));
  }

  async last(): Promise<RehearsalRecord | undefined> {
    return (await translated("reading the rehearsal", () => this.#records.findOne({ _id: "last" }))) ?? undefined;
  }
}
