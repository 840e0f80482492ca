import type { LetterBook } from "#apply/deadletter/letterBook.ts";
import type { DeadReason, Entry } from "#apply/plan/entry.ts";
import { isFerry } from "#base/errors/ferryError.ts";
import type { StateTx } from "#base/flow/stateTx.ts";
import { isOfDocument, type Sink } from "#sink/sink.ts";
import { reasonOf } from "./laneLetters.ts";
import type { LaneSteps, Planned } from "./laneSteps.ts";

export type LetterReplayDeps = Readonly<{ steps: LaneSteps; sink: Sink; deadLetters: LetterBook }>;

/** The letter at hand is what its key waits for. */
const NONE_HELD = (): boolean => false;

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
    const { sink, steps } = this.#deps;
    const entries = await steps.readyAgain(entry);
    try {
      await this.#takeOut(id, entries, async (settled) => {
        const { ops, dead, counts, filteredBy } = await steps.plan(settled, "replace", NONE_HELD);
        const [still] = dead;
        if (still !== undefined) throw new StillDead(still.reason);
        return { ops, move: { ...steps.standing(), counts: { ...counts, received: 0, dead: -1 }, filteredBy } };
      });
      return undefined;
    } catch (error) {
      if (error instanceof StillDead) return error.reason;
      if (!isFerry(error) || !isOfDocument(sink.refusal(error))) throw error;
      return reasonOf(error, sink);
    }
  }

  /** Removes a dead letter permanently; it stays in the books as dead. @throws FERRY_FENCED, FERRY_MONGO_* */
  async discard(id: string): Promise<void> {
    await this.#takeOut(id, [], async () => ({ ops: [], move: this.#deps.steps.standing() }));
  }

  async #takeOut(
    id: string,
    entries: readonly Entry[],
    plan: (entries: readonly Entry[]) => Promise<Omit<Planned, "note">>,
  ): Promise<void> {
    const { deadLetters, steps } = this.#deps;
    const note = async (tx: StateTx | undefined): Promise<void> => {
      // A commit whose outcome was unknown is tried again: then the letter is gone, and its effect is there.
      if (!(await deadLetters.remove(id, tx)) && tx !== undefined) throw new LetterGone();
    };
    try {
      const planned = async (settled: readonly Entry[]): Promise<Planned> => ({ ...(await plan(settled)), note });
      await steps.commit(entries, Number.POSITIVE_INFINITY, planned, NONE_HELD);
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
