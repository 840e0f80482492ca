import { BSON, type MongoClient, type Timestamp } from "mongodb";
import { translated } from "./errors.ts";
import { snapshotAt } from "./session.ts";

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

/** Some documents at random, raw. @throws FERRY_MONGO_* */
export const sampleRaw = (client: MongoClient, db: string, coll: string, size: number): Promise<Uint8Array[]> =>
  translated(`sampling ${db}.${coll}`, async () => {
    const found = client
      .db(db)
      .collection(coll)
      .aggregate([{ $sample: { size } }], { raw: true });
    return (await found.toArray()) as unknown as Uint8Array[];
  });
