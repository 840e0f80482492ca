import { randomInt } from "node:crypto";
import type { AnyBulkWriteOperation, Collection, Document } from "mongodb";
import { Decimal128, Double, Int32, Long, ObjectId, Timestamp } from "mongodb";
import { systemClock } from "#flow/clock.ts";

/** `FERRY_SEED`, or a fresh one. Printed, so that a run can be repeated. */
export const testSeed = (): number => {
  const seed = Number(process.env["FERRY_SEED"] ?? randomInt(2 ** 31));
  console.log(`seed ${seed} (repeat with FERRY_SEED=${seed})`);
  return seed;
};

export type Random = () => number;

/** Numbers in [0, 1) that depend on the seed alone (mulberry32). */
export const randomOf = (seed: number): Random => {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
};

export const pick = <T>(random: Random, from: readonly T[]): T => from[Math.floor(random() * from.length)] as T;

const whole = (random: Random, below: number): number => Math.floor(random() * below);

const names = ["firstname", "lastname", "age", "email", "sex", "tags", "address", "score"] as const;

const someValue = (random: Random): unknown =>
  pick<() => unknown>(random, [
    () => new Int32(whole(random, 100)),
    () => new Double(whole(random, 100)),
    () => new Double(-0),
    () => Long.fromNumber(whole(random, 1e9)),
    () => Decimal128.fromString(String(whole(random, 1000) / 10)),
    () => `s${whole(random, 1e6)}`,
    () => new Date(whole(random, 2e12) - 1e12),
    () => new Timestamp({ t: whole(random, 100), i: whole(random, 3) }),
    () => null,
    () => [whole(random, 9), { deep: whole(random, 9) }, "x"],
    () => ({ city: `c${whole(random, 50)}`, zip: new Int32(whole(random, 99999)) }),
  ])();

const someDocument = (random: Random, _id: unknown): Document => {
  const document: Document = { _id };
  const count = 2 + whole(random, names.length - 1);
  const from = whole(random, names.length);
  for (let i = 0; i < count; i++) document[names[(from + i) % names.length] as string] = someValue(random);
  return document;
};

/** `_id`s of several types whose numeric values never meet: 7 and 7.0 would be one document in two partitions. */
const idOf = (n: number): unknown => {
  switch (n % 4) {
    case 0:
      return new Int32(n);
    case 1:
      return `user-${n}`;
    case 2:
      return new ObjectId(n.toString(16).padStart(24, "0"));
    default:
      return { n: new Int32(n), k: "composite" };
  }
};

/** One random change of one document. Skewed: a low number is drawn far more often. */
const change = (random: Random, keys: number): AnyBulkWriteOperation => {
  const _id = idOf(Math.floor(random() ** 3 * keys));
  const filter = { _id } as Document;
  const upsert = random() < 0.5;
  const update = (u: Document | Document[], more: Document = {}): AnyBulkWriteOperation => ({
    updateOne: { filter, update: u, ...more },
  });
  const dice = random();
  if (dice < 0.22)
    return { replaceOne: { filter, replacement: { ...someDocument(random, _id), _id } as Document, upsert: true } };
  if (dice < 0.34) return { deleteOne: { filter } };
  if (dice < 0.54)
    return update({ $set: { [pick(random, names)]: someValue(random), zz: whole(random, 9), aa: 1 } }, { upsert });
  if (dice < 0.62) return update({ $unset: { [pick(random, names)]: "", zz: "" } });
  if (dice < 0.72) return update({ $inc: { [`n.${pick(random, ["a", "b", "0"])}`]: 1 } }, { upsert });
  if (dice < 0.82) return update({ $push: { list: { $each: [whole(random, 9)], $slice: -4 } } });
  if (dice < 0.9) return update([{ $set: { total: { $add: [{ $ifNull: ["$total", 0] }, 1] }, by: "pipeline" } }]);
  return update({ $set: { [`list.${whole(random, 3)}`]: whole(random, 9), "address.city": `c${whole(random, 9)}` } });
};

export type LoadOptions = Readonly<{
  seed: number;
  /** Concurrent clients. */
  writers?: number;
  /** Distinct keys that are written to. */
  keys?: number;
  /** Mean pause of one writer between two operations, ms. */
  pauseMs?: number;
}>;

export type Load = Readonly<{
  /** Operations done so far. */
  done: () => number;
  /** Resolves when every writer has finished its last operation. */
  stop: () => Promise<number>;
}>;

/**
 * Writers that change one collection until they are stopped: inserts, all kinds of updates, replacements and deletes, on
 * skewed keys. What each writer does depends on the seed alone; how they interleave does not.
 */
export const startLoad = (
  collection: Collection,
  { seed, writers = 60, keys = 2000, pauseMs = 80 }: LoadOptions,
): Load => {
  const ending = new AbortController();
  let done = 0;
  const write = async (writer: number): Promise<void> => {
    const random = randomOf(seed + writer * 7919);
    while (!ending.signal.aborted) {
      await apply(collection, change(random, keys));
      done++;
      await systemClock.sleep(1 + random() * 2 * pauseMs, ending.signal).catch(() => undefined);
    }
  };
  const all = Promise.all(Array.from({ length: writers }, (_, writer) => write(writer)));
  all.catch(() => undefined); // reported by stop()
  return {
    done: () => done,
    stop: async () => {
      ending.abort();
      await all;
      return done;
    },
  };
};

/** Refusals that belong to random changes: two upserts at once, a path through a scalar, a push onto none. */
const EXPECTED = new Set([2, 28, 14, 11000, 16837, 40, 51024]);

const apply = async (collection: Collection, operation: AnyBulkWriteOperation): Promise<void> => {
  try {
    await collection.bulkWrite([operation]);
  } catch (error) {
    if (!EXPECTED.has(Number((error as { code?: unknown }).code))) throw error;
  }
};

/** Fills a collection before the copy. */
export const fill = async (collection: Collection, count: number, seed: number): Promise<void> => {
  const random = randomOf(seed);
  for (let from = 0; from < count; from += 1000) {
    const documents = Array.from({ length: Math.min(1000, count - from) }, (_, i) =>
      someDocument(random, idOf(from + i)),
    );
    await collection.insertMany(documents);
  }
};
