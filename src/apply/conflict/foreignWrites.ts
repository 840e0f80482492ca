import type { Timestamp } from "bson";
import type { StateTx } from "#base/flow/stateTx.ts";
import type { StreamStart } from "#source/stream/changeCursor.ts";
import type { ResumeToken } from "#source/stream/resumeToken.ts";
import type { ConflictRecord, Mark } from "./conflictRecords.ts";

/** One write on the target that was not ferry's. `fields`: dotted paths; undefined for the whole document. */
export type ForeignWrite = Readonly<{
  documentKey: Uint8Array;
  at: Timestamp;
  fields: readonly string[] | undefined;
}>;

/** Events of one reply; `upTo`: every write up to this clusterTime is in it or was in an earlier one. */
export type ForeignBatch = Readonly<{
  writes: readonly ForeignWrite[];
  upTo: Timestamp | undefined;
  token: ResumeToken;
  /** Another client dropped or renamed the collection: all its documents are gone. */
  ended: boolean;
}>;

export type WatchStart = Exclude<StreamStart, "now">;

/** What others than ferry's lanes write to one collection of the target, in order. */
export interface ForeignWrites extends AsyncDisposable {
  /** The next reply; waits up to `waitMs` for a write. @throws FERRY_MONGO_* */
  next(waitMs: number): Promise<ForeignBatch>;
}

/** Marks and what is settled of them, by identity. */
export type FoundMarks = ReadonlyMap<string, Readonly<{ mark: Mark | undefined; settled: Timestamp | undefined }>>;

/** Which documents of a route others wrote, as its watches and gates work with it. Every method throws FERRY_MONGO_*. */
export interface MarkBook {
  /** Notes writes, in their order. Idempotent. */
  note(route: string, writes: readonly ForeignWrite[]): Promise<void>;
  /** Raw keys of all marked documents of a route. */
  keys(route: string): AsyncIterable<Uint8Array>;
  read(route: string, identities: readonly string[]): Promise<FoundMarks>;
  /** Everything up to `at` has been dealt with, as of the lane's transaction. */
  settle(route: string, identities: readonly string[], at: Timestamp, tx: StateTx | undefined): Promise<void>;
}

/** Where a lane stores what it could not carry over. */
export interface ConflictBook {
  /** Stores conflicts, within the lane's transaction. Storing one twice changes nothing. @throws FERRY_MONGO_* */
  add(records: readonly ConflictRecord[], tx: StateTx | undefined): Promise<void>;
}
