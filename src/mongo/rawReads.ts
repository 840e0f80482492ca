import { BSON, type MongoClient, type Timestamp } from "mongodb";
import { identityOf } from "#bson/identity.ts";
import { translated } from "./errors.ts";
import { snapshotAt } from "./session.ts";

/** Documents of one reply; the server cuts it at 16 MB. */
const READ_BATCH = 5000;

const KEEP_TYPES = { promoteValues: false, bsonRegExp: true, promoteBuffers: false } as const;

/**
 * The documents of these keys, raw, in any order; missing ones are left out. As they are now (a majority read: at least as
 * new as any event that a change stream has shown), or as they were at an instant.
 * @param keys raw documentKeys
 * @param at clusterTime of the instant, at most five minutes old
 * @throws FERRY_MONGO_*
 */
export const readByKeys = (
  client: MongoClient,
  db: string,
  coll: string,
  keys: readonly Uint8Array[],
  at?: Timestamp,
): Promise<Uint8Array[]> =>
  translated(`looking documents up in ${db}.${coll}`, async () => {
    const ids = keys.map((key) => BSON.deserialize(key, KEEP_TYPES)["_id"]);
    const found = client
      .db(db)
      .collection(coll)
      .find(
        { _id: { $in: ids } },
        { raw: true, readConcern: at === undefined ? { level: "majority" } : snapshotAt(at) },
      );
    return (await found.toArray()) as unknown as Uint8Array[];
  });

/**
 * Of these keys, those that the collection has not, by a majority read.
 * @param keys raw documentKeys
 * @throws FERRY_MONGO_*
 */
export const missingKeys = (
  client: MongoClient,
  db: string,
  coll: string,
  keys: readonly Uint8Array[],
): Promise<Uint8Array[]> =>
  translated(`looking for documents in ${db}.${coll}`, async () => {
    const ids = keys.map((key) => BSON.deserialize(key, KEEP_TYPES)["_id"]);
    const found = client
      .db(db)
      .collection(coll)
      .find({ _id: { $in: ids } }, { raw: true, projection: { _id: 1 }, readConcern: { level: "majority" } });
    const there = new Set(((await found.toArray()) as unknown as Uint8Array[]).map(identityOf));
    return keys.filter((key) => !there.has(identityOf(key)));
  });

/** Some documents at random, raw. @throws FERRY_MONGO_* */
export const sampleRaw = (client: MongoClient, db: string, coll: string, size: number): Promise<Uint8Array[]> =>
  translated(`sampling ${db}.${coll}`, async () => {
    const found = client
      .db(db)
      .collection(coll)
      .aggregate([{ $sample: { size } }], { raw: true });
    return (await found.toArray()) as unknown as Uint8Array[];
  });

/** Every document of a collection, raw, in the server's batches; a copy of their bytes. @throws FERRY_MONGO_* */
export async function* readRaw(
  client: MongoClient,
  { db, coll }: Readonly<{ db: string; coll: string }>,
): AsyncGenerator<readonly Uint8Array[]> {
  const found = client.db(db).collection(coll).find({}, { raw: true, batchSize: READ_BATCH });
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
