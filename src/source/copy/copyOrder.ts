import { rawDocument, rawField } from "#base/bson/rawValue.ts";
import type { Clock } from "#base/flow/clock.ts";
import type { Namespace } from "#base/flow/types.ts";
import { listedCollection } from "#io/mongo/collections.ts";
import type { Document, MongoClient } from "#io/mongo/connect.ts";
import { translated } from "#io/mongo/errors.ts";
import { RawCursor } from "#io/mongo/rawCursor.ts";
import { documentKeyOf } from "#io/wire/documentKey.ts";
import type { CollectionSize } from "./copyRanges.ts";

/** Below this, whatever the order, a collection is copied before it would have been measured. */
const LARGE_BYTES = 64 * 1024 * 1024;
/** Slices of the `_id` index that are read concurrently, like in the copy. */
const SLICES = 4;
/** Of one slice, at most. */
const SLICE_BYTES = 3 * 1024 * 1024;
const SLICE_DOCUMENTS = 2000;
/** Documents that are sampled to see whether keys rise in the order of insertion. */
const KEYS = 500;
/** Of neighbours in natural order, so many have ascending keys at least where these are times, counters, or the like. Random ones: half. */
const IN_ORDER = 0.8;
/** By how much natural order must be faster: it is one reader, and restarts with another primary. */
const WORTH = 1.5;

/** What an operator may ask for. */
export const COPY_ORDERS = ["measured", "natural", "id"] as const;
export type CopyOrder = (typeof COPY_ORDERS)[number];

export type OrderChoice = Readonly<{
  natural: boolean;
  /** Documents per second of both; undefined where nothing was measured. */
  measured: Readonly<{ natural: number; ranges: number }> | undefined;
}>;

const count = async (client: MongoClient, ns: Namespace, command: Document): Promise<number> => {
  const { db, coll } = ns;
  await using cursor = await RawCursor.open({ client, db, command, phase: `measuring ${db}.${coll}` });
  for (let read = 0; ; ) {
    const { documents, ended } = await cursor.next({ batchSize: SLICE_DOCUMENTS });
    read += documents.length;
    if (ended) return read;
  }
};

const keysOf = async (client: MongoClient, { db, coll }: Namespace, more: readonly Document[]): Promise<string[]> => {
  const found = await client
    .db(db)
    .collection(coll)
    .aggregate([{ $limit: KEYS }, { $project: { _id: 1 } }, ...more], { raw: true, hint: { $natural: 1 } })
    .toArray();
  return (found as unknown as Uint8Array[]).map((raw) => Buffer.from(documentKeyOf(raw)).toString("latin1"));
};

/** Do keys say nothing of when a document was inserted? The server sorts: it alone knows the order of all types. */
const isRandom = (client: MongoClient, ns: Namespace): Promise<boolean> =>
  translated(`looking at the keys of ${ns.db}.${ns.coll}`, async () => {
    const natural = await keysOf(client, ns, []);
    const rank = new Map((await keysOf(client, ns, [{ $sort: { _id: 1 } }])).map((key, i) => [key, i]));
    const ranks = natural.flatMap((key) => rank.get(key) ?? []);
    const ascending = ranks.filter((at, i) => i > 0 && at > (ranks[i - 1] as number)).length;
    return ranks.length > 1 && ascending / (ranks.length - 1) < IN_ORDER;
  });

/** Only a member of its own counts records; a mongos has none. */
const isMember = async (client: MongoClient): Promise<boolean> => {
  const hello = await translated("asking who answers", () => client.db("admin").command({ hello: 1 }));
  return hello["msg"] !== "isdbgrid" && hello["topologyVersion"] !== undefined;
};

const isClustered = async (client: MongoClient, { db, coll }: Namespace): Promise<boolean> => {
  const found = await listedCollection(client.db(db), coll);
  const options = found && rawField(found, "options");
  return options !== undefined && rawField(options.bytes, "clusteredIndex") !== undefined;
};

export type OrderQuestion = Readonly<{
  client: MongoClient;
  ns: Namespace;
  size: CollectionSize;
  /** Raw `{ _id }`s that divide it. */
  bounds: readonly Uint8Array[];
  wish: CopyOrder;
  clock: Clock;
}>;

/**
 * In which order a collection is copied: by ranges of `_id`, unless it is large, its keys are random, and a sample of it shows
 * that natural order is faster. What cannot be read in natural order is never read so.
 * @throws FERRY_MONGO_*
 */
export const chooseOrder = async ({ client, ns, size, bounds, wish, clock }: OrderQuestion): Promise<OrderChoice> => {
  const ranges: OrderChoice = { natural: false, measured: undefined };
  const isLarge = size.documents * size.averageBytes >= LARGE_BYTES && bounds.length >= SLICES;
  if (wish === "id" || (wish === "measured" && !isLarge)) return ranges;
  if (!(await isMember(client)) || (await isClustered(client, ns))) return ranges;
  if (wish === "natural") return { natural: true, measured: undefined };
  if (!(await isRandom(client, ns))) return ranges;
  const limit = Math.max(1, Math.min(SLICE_DOCUMENTS, Math.floor(SLICE_BYTES / size.averageBytes)));
  const perSecond = async (read: Promise<number>): Promise<number> => {
    const begun = clock.now();
    const found = await read;
    return (found * 1000) / Math.max(1, clock.now() - begun);
  };
  const find = { find: ns.coll, filter: {}, batchSize: limit };
  const slices = Array.from({ length: SLICES }, (_, i) => {
    const bound = bounds[Math.floor((i * bounds.length) / SLICES)] as Uint8Array;
    return count(client, ns, { ...find, limit, hint: { _id: 1 }, sort: { _id: 1 }, min: rawDocument(bound) });
  });
  const byRanges = await perSecond(Promise.all(slices).then((read) => read.reduce((sum, one) => sum + one, 0)));
  const scan = { ...find, limit: limit * SLICES, hint: { $natural: 1 } };
  const naturally = await perSecond(count(client, ns, scan));
  return { natural: naturally > WORTH * byRanges, measured: { natural: naturally, ranges: byRanges } };
};
