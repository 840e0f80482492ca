import type { DeadLetterStore } from "#apply/deadletter/store.ts";
import type { LaneMove } from "#apply/lanes/laneTransaction.ts";
import type { DeadReason, Entry } from "#apply/plan/entry.ts";
import { NO_COUNTS } from "#base/flow/types.ts";
import { isRejected, type MongoSink } from "#sink/mongo/mongoSink.ts";
import type { DriftGate } from "./driftGate.ts";
import { reasonOf } from "./laneLetters.ts";
import type { Batch, LaneMoves } from "./laneMoves.ts";
import type { LanePlanner } from "./lanePlanner.ts";
import type { Lookup } from "./lookup.ts";

export type LetterReplayDeps = Readonly<{
  moves: LaneMoves;
  planner: LanePlanner;
  sink: MongoSink;
  deadLetters: DeadLetterStore;
  lookup: Lookup | undefined;
  drift: DriftGate | undefined;
}>;

/** Takes letters out of a lane's dead letters, each in a transaction of the lane that leaves it where it stands. */
export class LetterReplay {
  readonly #deps: LetterReplayDeps;

  constructor(deps: LetterReplayDeps) {
    this.#deps = deps;
  }

  /**
   * Applies a dead letter's entry and removes the letter, in one transaction. Answers with the reason where it is refused
   * again. @throws FERRY_FENCED, FERRY_MONGO_*
   */
  async replay(id: string, entry: Entry): Promise<DeadReason | undefined> {
    const { lookup, sink, drift, planner } = this.#deps;
    const whole = lookup === undefined ? [entry] : (await lookup.complete([entry], 0)).completed;
    for (const entry of whole) drift?.see(entry, true);
    const entries = await planner.passed(whole);
    try {
      await this.#resolve(id, entries, async (resolved) => {
        const { ops, dead, counts, filteredBy } = await planner.plan(resolved, "replace", () => false);
        const [still] = dead;
        if (still !== undefined) throw new StillDead(still.reason);
        const moved = { counts: { ...counts, received: 0, dead: -1 }, filteredBy };
        return { ...moved, body: (session) => sink.write(ops, session) };
      });
      return undefined;
    } catch (error) {
      if (error instanceof StillDead) return error.reason;
      if (!isRejected(error)) throw error;
      return reasonOf(error, sink);
    }
  }

  /** Removes a dead letter for good; it stays in the books as dead. @throws FERRY_FENCED, FERRY_MONGO_* */
  async discard(id: string): Promise<void> {
    await this.#resolve(id, [], async () => ({ counts: NO_COUNTS, filteredBy: {}, body: async () => undefined }));
  }

  async #resolve(
    id: string,
    entries: readonly Entry[],
    prepare: (entries: readonly Entry[]) => Promise<Pick<Batch, "body"> & Pick<LaneMove, "counts" | "filteredBy">>,
  ): Promise<void> {
    const { deadLetters, moves } = this.#deps;
    try {
      await moves.move(entries, Number.POSITIVE_INFINITY, async (resolved) => {
        const { counts, filteredBy, body } = await prepare(resolved);
        return {
          letters: [],
          move: { ...moves.standing(), counts, filteredBy },
          body: async (session) => {
            // A commit whose outcome was unknown is tried again: then the letter is gone, and its effect is there.
            if (session !== undefined && !(await deadLetters.remove(id, session))) throw new LetterGone();
            await body(session);
            if (session === undefined) await deadLetters.remove(id, undefined);
          },
        };
      });
    } catch (error) {
      if (!(error instanceof LetterGone)) throw error;
    }
  }
}

class LetterGone extends Error {}

class StillDead extends Error {
  readonly reason: DeadReason;

  constructor(reason: DeadReason) {
    super(reason.detail);
    this.reason = reason;
  }
}
