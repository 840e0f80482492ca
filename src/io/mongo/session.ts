import { type Document, type MongoClient, ReadConcern, type Timestamp, UUID } from "mongodb";
import type { ClientSession } from "./connect.ts";

/**
 * The first bytes of the logical session id of every lane. The change events of a transaction carry its session's id, so
 * that ferry's own writes are told from others' on the target's change stream, whichever worker made them.
 */
const MARK = Buffer.from("ferry:");

/** A session for a lane's transactions: its id bears ferry's mark. The caller ends it. */
export const laneSession = (client: MongoClient): ClientSession => {
  // A transaction that reads at a given time must not ask for a later one as well.
  const session = client.startSession({ causalConsistency: false });
  const id = session.id?.["id"] as { buffer: Uint8Array } | undefined;
  id?.buffer.set(MARK); // before its first use; version and variant bits of the UUID lie further behind
  return session;
};

const bound = (fill: number): UUID => new UUID(Buffer.concat([MARK, Buffer.alloc(16 - MARK.length, fill)]));

/** Change events of writes that no lane made. Writes outside of a transaction have no `lsid` at all. */
export const notOurs: Document = { "lsid.id": { $not: { $gte: bound(0x00), $lte: bound(0xff) } } };

/**
 * Reads, or a whole transaction, as of one instant. The driver's options know only the level; the server takes the time
 * beside it (MongoDB manual, "Read Concern snapshot": atClusterTime).
 */
export const snapshotAt = (at: Timestamp): ReadConcern =>
  Object.assign(new ReadConcern("snapshot"), { atClusterTime: at });
