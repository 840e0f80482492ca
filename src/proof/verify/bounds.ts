import type { CollectionAt } from "#io/mongo/collections.ts";
import { translated } from "#io/mongo/errors.ts";
import { hasServerCode, ServerCode } from "#io/mongo/serverCodes.ts";
import { sampleBounds } from "#source/copy/copyRanges.ts";
import type { Bounds } from "./side.ts";

/** Documents of one range, about: what a restart repeats at most of it is less, since ranges save their progress. */
const RANGE_DOCUMENTS = 250_000;
const MAX_RANGES = 256;

/** Divides a collection into ranges that can be compared concurrently; together they hold every `_id`, now and later. @throws FERRY_MONGO_* */
export const readRanges = async ({ client, ns }: CollectionAt): Promise<readonly Bounds[]> => {
  const count = await translated(`dividing ${ns.db}.${ns.coll}`, () =>
    client.db(ns.db).collection(ns.coll).estimatedDocumentCount(),
  );
  const ranges = Math.min(MAX_RANGES, Math.ceil(count / RANGE_DOCUMENTS));
  const cuts = ranges <= 1 ? [] : await sampleBounds(client, ns, ranges);
  return [...cuts, undefined].map((to, i) => ({ from: i === 0 ? undefined : cuts[i - 1], to }));
};

/** A reply of about this size is long enough to be read at full speed, bytes; some are in memory at the same time. */
const REPLY_BYTES = 1024 * 1024;
const MOST_DOCUMENTS = 5_000;

/** Of one document, bytes; 1 where there is none, or no collection: it may be dropped or renamed while it is carried. */
const averageOf = async ({ client, ns }: CollectionAt): Promise<number> => {
  const found = client
    .db(ns.db)
    .collection(ns.coll)
    .aggregate<{ storageStats: { avgObjSize?: number } }>([{ $collStats: { storageStats: {} } }]);
  try {
    const stats = await translated(`asking for the size of ${ns.db}.${ns.coll}`, () => found.toArray());
    return Math.max(1, ...stats.map(({ storageStats }) => storageStats.avgObjSize ?? 1)); // one a shard
  } catch (error) {
    if (hasServerCode(error, ServerCode.NamespaceNotFound)) return 1;
    throw error;
  }
};

/** Documents of each reply, so that replies are of a good size, whatever the documents'. @throws FERRY_MONGO_* */
export const batchSizeOf = async (at: CollectionAt): Promise<number> =>
  Math.max(1, Math.min(MOST_DOCUMENTS, Math.round(REPLY_BYTES / (await averageOf(at)))));
