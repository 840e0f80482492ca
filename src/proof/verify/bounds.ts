import type { Document } from "#io/mongo/connect.ts";
import { translated } from "#io/mongo/errors.ts";
import type { Bounds, Side } from "./side.ts";

/** Documents of one range, about: what a restart repeats at most of it is less, since ranges save their progress. */
const RANGE_DOCUMENTS = 250_000;
const MAX_RANGES = 256;
/** Samples per bound: the more, the more even the ranges. */
const SAMPLES = 16;

/** Divides a collection into ranges that can be compared at once; together they hold every `_id`, now and later. @throws FERRY_MONGO_* */
export const sampleBounds = async ({ client, ns }: Side): Promise<readonly Bounds[]> => {
  const collection = client.db(ns.db).collection(ns.coll);
  const cuts = await translated(`dividing ${ns.db}.${ns.coll}`, async () => {
    const ranges = Math.min(MAX_RANGES, Math.ceil((await collection.estimatedDocumentCount()) / RANGE_DOCUMENTS));
    if (ranges <= 1) return [];
    const pipeline: Document[] = [
      { $sample: { size: ranges * SAMPLES } },
      { $project: { _id: 1 } },
      { $sort: { _id: 1 } },
    ];
    const keys = (await collection
      .aggregate(pipeline, { raw: true, allowDiskUse: true })
      .toArray()) as unknown as Uint8Array[];
    const chosen = Array.from({ length: ranges - 1 }, (_, i) => keys[Math.floor(((i + 1) * keys.length) / ranges)]);
    const present = chosen.flatMap((key) => (key === undefined ? [] : [Buffer.from(key)]));
    return present.filter((key, i) => i === 0 || Buffer.compare(key, present[i - 1] as Uint8Array) !== 0);
  });
  return [...cuts, undefined].map((to, i) => ({ from: i === 0 ? undefined : cuts[i - 1], to }));
};
