import { type MongoClient, ReadConcern, Timestamp } from "mongodb";
import { identityOf } from "#base/bson/identity.ts";
import { type RawValue, rawId } from "#base/bson/rawValue.ts";
import { BsonType } from "#base/bson/walk.ts";
import type { Document } from "./connect.ts";
import { translated } from "./errors.ts";
import { readAll } from "./rawCursor.ts";

/** As of which time a read answers: as of one instant (at most five minutes ago), or of any from one on. Both are clusterTimes. */
export type ReadTime = Readonly<{ asOf: Timestamp }> | Readonly<{ from: Timestamp }>;

/** From a clusterTime on, 64 bits; undefined for 0, which no server has had. */
export const readFrom = (at: bigint): ReadTime | undefined => (at === 0n ? undefined : { from: new Timestamp(at) });

/** As the server takes it: the driver's own options know only the level. A member that has not come so far yet waits. */
const concernOf = (time: ReadTime | undefined): Document => {
  if (time === undefined) return { level: "majority" };
  return "asOf" in time
    ? { level: "snapshot", atClusterTime: time.asOf }
    : { level: "majority", afterClusterTime: time.from };
};

/** Documents of one reply; the server cuts it at 16 MB. */
const READ_BATCH = 5000;

const DOLLAR = 0x24;

/** An `_id` whose first field looks like an operator: `$in` would interpret it, and `$eq` compares it. */
const isLikeOperator = ({ type, bytes }: RawValue): boolean => type === BsonType.object && bytes[5] === DOLLAR;

/** A filter for these keys, their `_id`s as the bytes they were. */
const withIds = (keys: readonly Uint8Array[]): Document => {
  const ids = keys.map(rawId);
  const alike = ids.filter(isLikeOperator);
  if (alike.length === 0) return { _id: { $in: ids } };
  const plain = ids.filter((id) => !isLikeOperator(id));
  return { $or: [{ _id: { $in: plain } }, ...alike.map((id) => ({ _id: { $eq: id } }))] };
};

/**
 * The documents of these keys, raw, in any order; missing ones are left out.
 * @param keys raw documentKeys
 * @param time a look-up for an event reads from its time on; without one, the majority's view on the primary
 * @throws FERRY_MONGO_*
 */
export const readByKeys = (
  client: MongoClient,
  db: string,
  coll: string,
  keys: readonly Uint8Array[],
  time?: ReadTime,
): Promise<Uint8Array[]> => {
  const command = { find: coll, filter: withIds(keys), batchSize: READ_BATCH, readConcern: concernOf(time) };
  return readAll({ client, db, command, phase: `looking documents up in ${db}.${coll}` }, READ_BATCH);
};

/**
 * Of these keys, those that the collection has not.
 * @param keys raw documentKeys
 * @param time not before which the collection is looked at
 * @throws FERRY_MONGO_*
 */
export const missingKeys = async (
  client: MongoClient,
  db: string,
  coll: string,
  keys: readonly Uint8Array[],
  time?: ReadTime,
): Promise<Uint8Array[]> => {
  const readConcern = concernOf(time);
  const projection = { _id: 1 };
  const command = { find: coll, filter: withIds(keys), projection, batchSize: READ_BATCH, readConcern };
  const found = await readAll({ client, db, command, phase: `looking for documents in ${db}.${coll}` }, READ_BATCH);
  const there = new Set(found.map(identityOf));
  return keys.filter((key) => !there.has(identityOf(key)));
};

/** Some documents at random, raw. @throws FERRY_MONGO_* */
export const sampleRaw = (client: MongoClient, db: string, coll: string, size: number): Promise<Uint8Array[]> =>
  translated(`sampling ${db}.${coll}`, async () => {
    const found = client
      .db(db)
      .collection(coll)
      .aggregate([{ $sample: { size } }], { raw: true });
    return (await found.toArray()) as unknown as Uint8Array[];
  });

/** Every document of a collection, not before `time`, raw, in the server's batches; a copy of their bytes. @throws FERRY_MONGO_* */
export async function* readRaw(
  client: MongoClient,
  { db, coll }: Readonly<{ db: string; coll: string }>,
  time?: ReadTime,
): AsyncGenerator<readonly Uint8Array[]> {
  const found = client
    .db(db)
    .collection(coll)
    .find(
      {},
      { raw: true, batchSize: READ_BATCH, readConcern: Object.assign(new ReadConcern("majority"), concernOf(time)) },
    );
  try {
    for (;;) {
      if (!(await translated(`reading ${db}.${coll}`, () => found.hasNext()))) return;
      // Copied: the driver's documents are views of one reply, which would be kept alive.
      yield (found.readBufferedDocuments(READ_BATCH) as unknown as Uint8Array[]).map((doc) => Buffer.from(doc));
    }
  } finally {
    await found.close();
  }
}
