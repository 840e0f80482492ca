import { Binary, Long } from "bson";
import { formatNamespace, type Namespace } from "#base/flow/types.ts";
import type { MongoClient } from "#io/mongo/connect.ts";
import { translated } from "#io/mongo/errors.ts";
import { type RangeRecord, rangeId } from "./rangeRecord.ts";

/** Bytes that one range has at most, and at least, about, where documents are large. */
const MAX_RANGE_BYTES = 128 * 1024 * 1024;
const MIN_RANGE_BYTES = 8 * 1024 * 1024;
/** Ranges that a collection between these is divided into: several for each reader, so that all of them end together. */
const RANGES = 16;
const MAX_RANGES = 1000;
/** Samples per bound: the more, the more even the ranges. */
const SAMPLES = 16;

/** What a collection says of its own size; estimates, but good enough to divide it. */
export type CollectionSize = Readonly<{ documents: number; averageBytes: number }>;

/** Documents whose size stands for all. */
const MEASURED = 50;

/** Asks for no more than may be read anyway: a collection's own statistics need a privilege of their own. Sizes are taken on the server. */
export const readSize = (client: MongoClient, { db, coll }: Namespace): Promise<CollectionSize> =>
  translated(`reading the size of ${db}.${coll}`, async () => {
    const collection = client.db(db).collection(coll);
    const documents = await collection.estimatedDocumentCount();
    const [found] = await collection
      .aggregate<{ bytes: number }>([
        { $limit: MEASURED },
        { $group: { _id: null, bytes: { $avg: { $bsonSize: "$$ROOT" } } } },
      ])
      .toArray();
    return { documents, averageBytes: Number(found?.bytes ?? 0) };
  });

/** How many ranges of about so many documents a collection of this size is divided into. */
export const rangeCount = ({ documents, averageBytes }: CollectionSize, rangeDocuments: number): number => {
  const byCount = Math.ceil(documents / rangeDocuments);
  const bytes = documents * averageBytes;
  const byBytes = Math.ceil(bytes / Math.max(MIN_RANGE_BYTES, Math.min(MAX_RANGE_BYTES, bytes / RANGES)));
  return Math.max(1, Math.min(MAX_RANGES, Math.max(byCount, byBytes)));
};

/** Raw `{ _id }`s between about so many ranges, in the index's own order, which is defined across all types of `_id`. @throws FERRY_MONGO_* */
export const sampleBounds = (client: MongoClient, { db, coll }: Namespace, ranges: number): Promise<Uint8Array[]> =>
  translated(`sampling ${db}.${coll}`, async () => {
    const sampled = await client
      .db(db)
      .collection(coll)
      .aggregate([{ $sample: { size: ranges * SAMPLES } }, { $project: { _id: 1 } }, { $sort: { _id: 1 } }], {
        raw: true,
        allowDiskUse: true,
      })
      .toArray();
    const keys = sampled as unknown as Uint8Array[];
    const bounds: Uint8Array[] = [];
    for (let i = 1; i < ranges; i++) {
      const key = keys[Math.floor((i * keys.length) / ranges)];
      const last = bounds.at(-1);
      if (key !== undefined && (last === undefined || Buffer.compare(key, last) !== 0)) bounds.push(Buffer.from(key));
    }
    return bounds;
  });

/** Bounds that divide a collection into about so many ranges, and how large it is. @throws FERRY_MONGO_* */
export const readBounds = async (
  client: MongoClient,
  ns: Namespace,
  rangeDocuments: number,
): Promise<{ bounds: Uint8Array[]; size: CollectionSize }> => {
  const size = await readSize(client, ns);
  const count = rangeCount(size, rangeDocuments);
  return { bounds: count === 1 ? [] : await sampleBounds(client, ns, count), size };
};

/** Ranges of `_id` between these bounds; together they hold every document, now and later. @param documents of them all, about */
export const rangesBetween = (
  ns: Namespace,
  generation: number,
  bounds: readonly Uint8Array[],
  documents: number,
): RangeRecord[] => {
  const topic = formatNamespace(ns);
  const edges = [null, ...bounds.map((bound) => new Binary(bound)), null];
  return edges.slice(1).map((to, index) => ({
    _id: rangeId(topic, generation, index),
    topic,
    generation,
    index,
    from: edges[index] ?? null,
    to,
    at: null,
    estimate: Math.ceil(documents / (bounds.length + 1)),
    documents: Long.ZERO,
    done: false,
  }));
};
