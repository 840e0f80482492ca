import { createHash, randomBytes } from "node:crypto";
import type { Binary, MongoClient, Timestamp } from "mongodb";
import { RawCursor } from "#io/mongo/rawCursor.ts";
import { rangesBetween, readBounds } from "#source/copy/copyRanges.ts";
import type { CopySource } from "#source/copy/copySource.ts";
import { RangeReader } from "#source/copy/rangeReader.ts";
import type { Bench } from "./lib/bench.ts";
import { timeCopy } from "./lib/copyTimes.ts";
import { drop, ferryRun, mongodVersion, type Pair } from "./lib/pair.ts";
import { median, type Row, report, round } from "./lib/report.ts";
import { DB } from "./lib/topics.ts";

/** Of the source: the collection is several times larger. */
const CACHE_GB = 0.25;
const COLL = "random";
const DOCUMENTS = 500_000;
const READERS = 4;
const RANGE_DOCUMENTS = 50_000;
const BATCH = 2000;
const LIMIT_MS = 200_000;

/** How the source reads its files: through the system's page cache, which holds all of them here, or past it. */
const STORES = {
  "page cache": [],
  disk: ["--wiredTigerEngineConfigString", "direct_io=[data]"],
} as const satisfies Record<string, readonly string[]>;
type Store = keyof typeof STORES;

/** Inserted in the order of `i`; the key says nothing of it. Half of the text can be compressed. */
const document = (i: number): { _id: string; text: string } => ({
  _id: createHash("sha256").update(String(i)).digest("hex").slice(0, 32),
  text: randomBytes(256).toString("hex") + "0123456789abcdef".repeat(28),
});

const load = async (client: MongoClient, count: number): Promise<void> => {
  const collection = client.db(DB).collection<{ _id: string }>(COLL);
  await collection.drop();
  for (let from = 0; from < count; from += 5000)
    await collection.insertMany(
      Array.from({ length: Math.min(5000, count - from) }, (_, i) => document(from + i)),
      { ordered: false },
    );
};

const ns = { db: DB, coll: COLL };

/** What ferry's copy does, without a target: ranges of `_id`, four concurrently. */
const readRanges = async (client: MongoClient): Promise<number> => {
  const { bounds, size } = await readBounds(client, ns, RANGE_DOCUMENTS);
  const ranges = rangesBetween(ns, 1, bounds, size.documents);
  const source: CopySource = {
    readPreference: "primary",
    pace: undefined,
    answer: <T>(reply: Promise<T>): Promise<T> => reply,
    client: async () => client,
  };
  const { operationTime } = (await client.db("admin").command({ ping: 1 })) as { operationTime: Timestamp };
  const at = operationTime.toBigInt();
  let [next, read] = [0, 0];
  const bytesOf = (bound: Binary | null): Uint8Array | undefined => bound?.buffer;
  await Promise.all(
    Array.from({ length: READERS }, async () => {
      for (let range = ranges[next++]; range !== undefined; range = ranges[next++]) {
        const bounds = { from: bytesOf(range.from), to: bytesOf(range.to), after: undefined, at };
        await using reader = await RangeReader.open(source, ns, bounds, 1000);
        for (let ended = false; !ended; ) {
          const chunk = await reader.next();
          read += chunk.documents.length;
          ended = chunk.ended;
        }
      }
    }),
  );
  return read;
};

/** One scan in natural order that could be resumed; it reads ahead as the other does. */
const readNatural = async (client: MongoClient): Promise<number> => {
  const command = { find: COLL, hint: { $natural: 1 }, $_requestResumeToken: true, batchSize: BATCH };
  await using cursor = await RawCursor.open({ client, db: DB, command, phase: "reading in natural order" });
  let read = 0;
  let ahead = cursor.next({ batchSize: BATCH });
  for (;;) {
    const { documents, ended } = await ahead;
    read += documents.length;
    if (ended) return read;
    ahead = cursor.next({ batchSize: BATCH });
  }
};

let copies = 0;

const copyByFerry = async (pair: Pair, count: number, order: "id" | "natural"): Promise<number> => {
  const stateDb = `ferry_bench_natural_${copies++}`;
  await drop(pair, COLL);
  await using _ = ferryRun(pair, COLL, stateDb, ["--copy-order", order]);
  return await timeCopy(pair.there, COLL, count, LIMIT_MS); // the run ends with this block
};

const CONTESTANTS = ["ranges, read only", "natural, read only", "ferry run (ranges)", "ferry run (natural)"] as const;
type Contestant = (typeof CONTESTANTS)[number];

const timed = async (count: number, read: Promise<number>): Promise<number> => {
  const began = performance.now();
  const found = await read;
  if (found !== count) throw new Error(`${found} of ${count} documents were read`);
  return (count * 1000) / (performance.now() - began);
};

const measure = (contestant: Contestant, pair: Pair, count: number): Promise<number> => {
  switch (contestant) {
    case "ranges, read only":
      return timed(count, readRanges(pair.here));
    case "natural, read only":
      return timed(count, readNatural(pair.here));
    case "ferry run (ranges)":
      return copyByFerry(pair, count, "id");
    case "ferry run (natural)":
      return copyByFerry(pair, count, "natural");
    default:
      return contestant satisfies never;
  }
};

/**
 * `npm run bench -- natural-order [--rounds 3] [--scale 1]`: a collection with random keys, larger than the source's cache,
 * read by ranges of `_id` and in natural order, in turn. Each scan leaves a cache behind that is of no use to the next.
 */
export const benchNaturalOrder = async (bench: Bench): Promise<void> => {
  const count = bench.sized(DOCUMENTS);
  const found = new Map<string, number[]>();
  let [version, mb] = ["", 0];
  for (const [store, args] of Object.entries(STORES)) {
    await using pair = await bench.pair({ cacheGb: CACHE_GB, args });
    version = await mongodVersion(pair);
    await load(pair.here, count);
    mb = Number((await pair.here.db(DB).command({ collStats: COLL, scale: 2 ** 20 }))["size"]);
    for (let turn = 1; turn <= bench.rounds; turn++)
      for (const contestant of CONTESTANTS) {
        const perSecond = await measure(contestant, pair, count);
        console.log(`round ${turn}  ${store.padEnd(10)}  ${contestant.padEnd(18)} ${Math.round(perSecond)}/s`);
        const key = `${store}:${contestant}`;
        found.set(key, [...(found.get(key) ?? []), perSecond]);
      }
  }
  const rate = (store: Store, contestant: Contestant): number => median(found.get(`${store}:${contestant}`) ?? []);
  const rows: Row[] = CONTESTANTS.map((contestant) => ({
    contestant,
    "page cache, docs/s": Math.round(rate("page cache", contestant)),
    "disk, docs/s": Math.round(rate("disk", contestant)),
  }));
  const [ranges, natural, ferry, ferryNatural] = CONTESTANTS;
  const result = {
    name: "natural-order",
    rows,
    versions: { mongod: version, documents: `${count}, ${mb} MB, cache ${CACHE_GB} GB` },
    ratios: {
      "pageCache.naturalVsRanges": round(rate("page cache", natural) / rate("page cache", ranges)),
      "disk.naturalVsRanges": round(rate("disk", natural) / rate("disk", ranges)),
      "pageCache.ferryNaturalVsRanges": round(rate("page cache", ferryNatural) / rate("page cache", ferry)),
      "disk.ferryNaturalVsRanges": round(rate("disk", ferryNatural) / rate("disk", ferry)),
    },
  };
  report(result, bench.full);
};
