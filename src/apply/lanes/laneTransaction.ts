import { Long, Timestamp } from "bson";
import { FerryError, isFerry } from "#base/errors/ferryError.ts";
import type { Clock } from "#base/flow/clock.ts";
import { faultPoint } from "#base/flow/fault.ts";
import { type RetryOptions, retryForever } from "#base/flow/retry.ts";
import { type Counts, type FilteredBy, imbalance } from "#base/flow/types.ts";
import type { ClientSession } from "#io/mongo/connect.ts";
import { translated } from "#io/mongo/errors.ts";
import { hasServerCode, ServerCode } from "#io/mongo/serverCodes.ts";
import { snapshotAt } from "#io/mongo/session.ts";
import type { LaneState } from "./claims.ts";
import type { LaneStore } from "./laneStore.ts";

/** Where a lane stands after a batch. `counts` are the batch's own, added to the lane's books. */
export type LaneMove = Readonly<{
  offset: number;
  at: bigint;
  logTimeMs: number;
  counts: Counts;
  filteredBy: FilteredBy;
}>;

/** What one try of a lane's transaction does. */
export type LaneWork = Readonly<{
  move: LaneMove;
  body: (session: ClientSession | undefined) => Promise<void>;
  /** Reads as of this instant; undefined for the newest. */
  at?: Timestamp | undefined;
}>;

export type LaneTransactionOptions = Readonly<{
  store: LaneStore;
  clock: Clock;
  signal: AbortSignal;
  onRetry: NonNullable<RetryOptions["onRetry"]>;
}>;

/**
 * The transaction that binds a lane's data to its position: exactly-once, because both commit or neither does, and fenced,
 * because the lane record must still carry this owner's epoch and the position that the batch starts from.
 *
 * The lane record is written first: a writer that was taken over learns it before it sends data. When a commit's outcome is
 * unknown (network, election), the next try finds the lane already at the batch's end in its own epoch and is done.
 * Without a session (standalone target) the data goes first and the position after it: at least once.
 *
 * @param prepare called before each try
 * @param patience how many write conflicts in a row are borne with
 * @throws FERRY_FENCED when another owner has the lane; FERRY_MONGO_REJECTED when the target refuses a document; Contended for what a smaller batch would cure;
 * after retries with jitter for as long as the signal lets it, never for transient errors.
 */
export const writeLane = (
  lane: LaneState,
  session: ClientSession | undefined,
  prepare: () => Promise<LaneWork>,
  patience: number,
  { store, clock, signal, onRetry }: LaneTransactionOptions,
): Promise<LaneState> => {
  let contended = 0;
  return retryForever(
    async () => {
      const work = await prepare();
      const began = clock.now();
      try {
        if (session !== undefined) return await inTransaction(store, lane, session, work);
        if (!(await stillAt(store, lane, work.move))) return moved(lane, work.move);
        await work.body(undefined);
        faultPoint("before-commit");
        await moveRecord(store, lane, work.move, undefined);
        return moved(lane, work.move);
      } catch (error) {
        if (hasServerCode(error, ServerCode.WriteConflict) && ++contended >= patience) throw new Contended();
        // The server has given it up: tried again as it is, it would take as long.
        if (
          isFerry(error, "FERRY_MONGO_TRANSIENT") &&
          patience < Number.POSITIVE_INFINITY &&
          clock.now() - began > LONG_MS
        )
          throw new Contended();
        throw error;
      }
    },
    { what: `writing lane ${lane.id}`, clock, signal, onRetry },
  );
};

/** A transaction that has failed after this long was too large for its server at this time, ms. */
const LONG_MS = 5000;

/**
 * Others write the same documents all the time, or the server is short of cache: a smaller batch would get through sooner, and
 * stand in the way for less long.
 */
export class Contended extends Error {}

const moved = (lane: LaneState, move: LaneMove): LaneState => ({
  ...lane,
  offset: move.offset,
  at: move.at,
  logTimeMs: move.logTimeMs,
});

const inTransaction = async (
  store: LaneStore,
  lane: LaneState,
  session: ClientSession,
  { move, body, at }: LaneWork,
): Promise<LaneState> => {
  const readConcern = at === undefined ? { level: "local" as const } : snapshotAt(at);
  session.startTransaction({ readConcern, writeConcern: { w: "majority" } });
  try {
    if (!(await moveRecord(store, lane, move, session))) {
      await abort(session);
      return moved(lane, move);
    }
    faultPoint("mid-batch");
    await body(session);
    faultPoint("before-commit");
    await translated(`committing lane ${lane.id}`, () => session.commitTransaction());
    faultPoint("after-commit");
    return moved(lane, move);
  } catch (error) {
    await abort(session);
    throw error;
  }
};

/** The server forgets an aborted transaction by itself; what matters is that the session is ready for the next one. */
const abort = async (session: ClientSession): Promise<void> => {
  if (session.inTransaction()) await session.abortTransaction().catch(() => undefined);
};

/** True when the record was moved, false when this very batch is already in. @throws FERRY_FENCED */
const moveRecord = async (
  store: LaneStore,
  lane: LaneState,
  move: LaneMove,
  session: ClientSession | undefined,
): Promise<boolean> => {
  const { counts, filteredBy } = move;
  if (imbalance(counts) !== 0)
    throw new FerryError("FERRY_BUG", `lane ${lane.id}: a batch that does not balance: ${JSON.stringify(counts)}`);
  const reasons = Object.entries(filteredBy).map(([reason, n]) => [`filteredBy.${reason}`, Long.fromNumber(n)]);
  const result = await translated(`moving lane ${lane.id}`, () =>
    store.lanes.updateOne(
      { _id: lane.id, epoch: Long.fromNumber(lane.epoch), offset: Long.fromNumber(lane.offset) },
      {
        $set: { offset: Long.fromNumber(move.offset), at: new Timestamp(move.at), logTime: new Date(move.logTimeMs) },
        $inc: {
          "counts.received": Long.fromNumber(counts.received),
          "counts.applied": Long.fromNumber(counts.applied),
          "counts.superseded": Long.fromNumber(counts.superseded),
          "counts.filtered": Long.fromNumber(counts.filtered),
          "counts.dead": Long.fromNumber(counts.dead),
          ...Object.fromEntries(reasons),
        },
        $currentDate: { updatedAt: true },
      },
      session === undefined ? {} : { session },
    ),
  );
  if (result.matchedCount === 1) return true;
  const unmoved = await stillAt(store, lane, move, session);
  if (unmoved) throw new FerryError("FERRY_MONGO_TRANSIENT", `lane ${lane.id} changed while it was looked at`);
  return false;
};

/** Is the lane ours and before the batch (true), or ours and past it (false)? @throws FERRY_FENCED */
const stillAt = async (
  store: LaneStore,
  lane: LaneState,
  move: LaneMove,
  session?: ClientSession,
): Promise<boolean> => {
  const options = session === undefined ? {} : { session };
  const record = await translated(`reading lane ${lane.id}`, () => store.lanes.findOne({ _id: lane.id }, options));
  if (record === null || Number(record.epoch) !== lane.epoch) {
    throw new FerryError(
      "FERRY_FENCED",
      `lane ${lane.id}: epoch ${lane.epoch} here, ${record === null ? "no record" : String(record.epoch)} on the target`,
    );
  }
  const offset = Number(record.offset);
  if (offset === lane.offset) return true;
  if (offset === move.offset) return false;
  throw new FerryError(
    "FERRY_FENCED",
    `lane ${lane.id} stands at offset ${offset}, neither at ${lane.offset} nor at ${move.offset}`,
  );
};
