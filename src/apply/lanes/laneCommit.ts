import type { Timestamp } from "bson";
import { isFerry } from "#base/errors/ferryError.ts";
import type { Clock } from "#base/flow/clock.ts";
import { faultPoint } from "#base/flow/fault.ts";
import { type RetryOptions, retryForever } from "#base/flow/retry.ts";
import type { StateSession, StateTx } from "#base/flow/stateTx.ts";
import type { Counts, FilteredBy } from "#base/flow/types.ts";
import type { LaneState } from "./claims.ts";

/** Where a lane stands after a batch. `counts` are the batch's own, added to the lane's books. */
export type LaneMove = Readonly<{
  offset: number;
  at: bigint;
  logTimeMs: number;
  counts: Counts;
  filteredBy: FilteredBy;
}>;

/** What one try of a commit does. */
export type LaneWork = Readonly<{
  move: LaneMove;
  /** Writes the documents. */
  write: (tx: StateTx | undefined) => Promise<void>;
  /** Writes down what ferry remembers of the batch: letters, conflicts, drift. */
  note: (tx: StateTx | undefined) => Promise<void>;
  /** Reads as of this clusterTime; undefined for the newest. */
  at?: Timestamp | undefined;
}>;

/**
 * Binds a lane's documents to its position. There are two guarantees:
 * - `transactionalCommit`: both in one transaction, so that each batch has its effect exactly once;
 * - `outsideCommit`: the documents first, then all that ferry remembers of them: at least once, never lost.
 */
export interface LaneCommit {
  /** True: exactly once. Otherwise a batch may be written again, and meets its own documents. */
  readonly isTransactional: boolean;
  /**
   * Prepares and commits until it succeeds; `prepare` is called before each try.
   * @param patience how many write conflicts in a row are borne with
   * @returns where the lane stands now
   * @throws FERRY_FENCED when another owner has the lane; what the target refuses; Contended for what a smaller batch would cure.
   * Never transient errors, but for the signal's reason.
   */
  commit(lane: LaneState, prepare: () => Promise<LaneWork>, patience: number): Promise<LaneState>;
}

/** The lane records, as a commit needs them. */
export interface LanePositions {
  /**
   * Moves a lane that is still in its epoch and at its position. False where it stands at the end of this move already: the
   * last try came through, and its answer was lost. @throws FERRY_FENCED
   */
  move(lane: LaneState, move: LaneMove, tx: StateTx | undefined): Promise<boolean>;
  /** The same look without a move. @throws FERRY_FENCED */
  isBefore(lane: LaneState, move: LaneMove): Promise<boolean>;
}

export type LaneCommitDeps = Readonly<{
  positions: LanePositions;
  /** Does the error say that others write the same documents at the same time? */
  isContended: (error: unknown) => boolean;
  clock: Clock;
  signal: AbortSignal;
  onRetry: NonNullable<RetryOptions["onRetry"]>;
}>;

/**
 * Others write the same documents all the time, or the server is short of cache: a smaller batch would get through sooner, and
 * stand in the way for less long.
 */
export class Contended extends Error {}

/** A transaction that has failed after this long was too large for its server at this time, ms. */
const LONG_MS = 5000;

type Attempt = (lane: LaneState, work: LaneWork) => Promise<void>;

const retried = (deps: LaneCommitDeps, isTransactional: boolean, attempt: Attempt): LaneCommit => ({
  isTransactional,
  commit: (lane, prepare, patience) => {
    const { clock, signal, onRetry, isContended } = deps;
    let contended = 0;
    return retryForever(
      async () => {
        const work = await prepare();
        const began = clock.now();
        try {
          await attempt(lane, work);
          const { offset, at, logTimeMs } = work.move;
          return { ...lane, offset, at, logTimeMs };
        } catch (error) {
          if (isContended(error) && ++contended >= patience) throw new Contended();
          // The server has given it up: tried again as it is, it would take as long.
          const isLong = isFerry(error, "FERRY_MONGO_TRANSIENT") && clock.now() - began > LONG_MS;
          if (isLong && patience < Number.POSITIVE_INFINITY) throw new Contended();
          throw error;
        }
      },
      { what: `writing lane ${lane.id}`, clock, signal, onRetry },
    );
  },
});

/**
 * Position and documents in one transaction of the target: exactly once, because both commit or neither does, and fenced,
 * because the lane record must still carry this owner's epoch and the position that the batch starts from.
 *
 * The position is written first: a writer that was taken over learns it before it sends documents. When a commit's outcome is
 * unknown (network, election), the next try finds the lane already at the batch's end in its own epoch and is done.
 */
export const transactionalCommit = (deps: LaneCommitDeps, session: StateSession): LaneCommit =>
  retried(deps, true, async (lane, { move, write, note, at }) => {
    const work = async (tx: StateTx): Promise<boolean> => {
      if (!(await deps.positions.move(lane, move, tx))) return false;
      faultPoint("mid-batch");
      await write(tx);
      await note(tx);
      faultPoint("before-commit");
      return true;
    };
    await session.transaction(`committing lane ${lane.id}`, work, at);
    faultPoint("after-commit");
  });

/**
 * For targets that take no part in a transaction: the documents are written first, then what ferry remembers of them, in one
 * transaction of its own database where it has some, and otherwise the position last. A batch that is cut off is written again.
 */
export const outsideCommit = (deps: LaneCommitDeps, session: StateSession | undefined): LaneCommit =>
  retried(deps, false, async (lane, { move, write, note }) => {
    const { positions } = deps;
    if (!(await positions.isBefore(lane, move))) return;
    await write(undefined);
    faultPoint("before-commit");
    if (session === undefined) {
      await note(undefined);
      await positions.move(lane, move, undefined);
      return;
    }
    await session.transaction(`committing lane ${lane.id}`, async (tx) => {
      if (!(await positions.move(lane, move, tx))) return false;
      await note(tx);
      return true;
    });
  });
