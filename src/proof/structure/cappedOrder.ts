import { identityOf } from "#base/bson/identity.ts";
import type { Namespace } from "#base/flow/types.ts";
import type { CollectionAt } from "#io/mongo/collections.ts";
import type { MongoClient } from "#io/mongo/connect.ts";
import { RawCursor } from "#io/mongo/rawCursor.ts";

const AT_ONCE = 10_000;

/** `_id`s of a capped collection, oldest first, by identity. */
async function* identities(client: MongoClient, { db, coll }: Namespace): AsyncGenerator<string> {
  const how = { filter: {}, sort: { $natural: 1 }, projection: { _id: 1 }, readConcern: { level: "majority" } };
  const command = { find: coll, ...how, batchSize: AT_ONCE };
  await using cursor = await RawCursor.open({ client, db, command, phase: `reading the order of ${db}.${coll}` });
  for (;;) {
    const { documents, ended } = await cursor.next({ batchSize: AT_ONCE });
    for (const document of documents) yield identityOf(document);
    if (ended) return;
  }
}

/**
 * Do two capped collections have what both hold in one order? What only one of them holds does not count: the oldest go, and the
 * newest come, while they are read. @throws FERRY_MONGO_*
 */
export const haveOneOrder = async (source: CollectionAt, target: CollectionAt): Promise<boolean> => {
  const places = new Map<string, number>();
  for await (const identity of identities(target.client, target.ns)) places.set(identity, places.size);
  let last = -1;
  for await (const identity of identities(source.client, source.ns)) {
    const place = places.get(identity);
    if (place === undefined) continue;
    if (place < last) return false;
    last = place;
  }
  return true;
};
