import { randomInt } from "node:crypto";
import type { Collection, Document, MongoClient } from "mongodb";
import { Decimal128, Double, Int32, Long, ObjectId, Timestamp } from "mongodb";
import { systemClock } from "#base/flow/clock.ts";
import { runWorkload, type Subject } from "#tools/workload/genDataWorkload.ts";
import { oneOf, type Random, seeded } from "#tools/workload/people.ts";

/** `FERRY_SEED`, or a fresh one. Printed, so that a run can be repeated. */
export const testSeed = (): number => {
  const seed = Number(process.env["FERRY_SEED"] ?? randomInt(2 ** 31));
  console.log(`seed ${seed} (repeat with FERRY_SEED=${seed})`);
  return seed;
};

/**
 * Runs a random test once, or with `FERRY_SEEDS=1000` once for each of so many seeds from the first one on; what fails says
 * which seed it was. `work` leaves its server as it found it.
 */
export const eachSeed = async (work: (random: Random, isOne: boolean) => Promise<void>): Promise<void> => {
  const first = testSeed();
  const count = Number(process.env["FERRY_SEEDS"] ?? 1);
  const started = Date.now();
  for (let seed = first; seed < first + count; seed++)
    try {
      if (count > 1 && (seed - first) % 50 === 0) console.log(`${seed - first} seeds so far`);
      await work(seeded(seed), count === 1);
    } catch (error) {
      throw new Error(`with FERRY_SEED=${seed}`, { cause: error });
    }
  if (count > 1) console.log(`${count} seeds in ${Math.round((Date.now() - started) / 1000)} s`);
};

const whole = (random: Random, below: number): number => Math.floor(random() * below);

const names = ["firstname", "lastname", "age", "email", "sex", "tags", "address", "score"] as const;

const someValue = (random: Random): unknown =>
  oneOf<() => unknown>(random, [
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

/** Ways to change a document: every kind of update, some of which a server refuses for what the document happens to be. */
const someUpdate = (random: Random): Document | Document[] =>
  oneOf<() => Document | Document[]>(random, [
    () => ({ $set: { [oneOf(random, names)]: someValue(random), zz: whole(random, 9), aa: 1 } }),
    () => ({ $unset: { [oneOf(random, names)]: "", zz: "" } }),
    () => ({ $inc: { [`n.${oneOf(random, ["a", "b", "0"])}`]: 1 } }),
    () => ({ $push: { list: { $each: [whole(random, 9)], $slice: -4 } } }),
    () => [{ $set: { total: { $add: [{ $ifNull: ["$total", 0] }, 1] }, by: "pipeline" } }],
    () => ({ $set: { [`list.${whole(random, 3)}`]: whole(random, 9), "address.city": `c${whole(random, 9)}` } }),
  ])();

/** Documents with `_id`s and values of many types, where the run book's people have few. */
const ASSORTED: Subject = {
  id: idOf,
  document: (n, random) => someDocument(random, idOf(n)),
  update: someUpdate,
};

export type LoadOptions = Readonly<{
  seed: number;
  /** Concurrent clients. */
  writers?: number;
  /** Documents that are written to from the beginning; those that `fill` put there, mostly. */
  keys?: number;
  /** Pause of one writer between two operations, ms. */
  pauseMs?: number;
}>;

export type Load = Readonly<{
  /** Operations done so far. */
  done: () => number;
  /** Resolves when every writer has finished its last operation. */
  stop: () => Promise<number>;
}>;

/** `ferry gen-data --workload mixed` on assorted documents, until it is stopped. */
export const startLoad = (
  collection: Collection,
  { seed, writers = 60, keys = 2000, pauseMs = 80 }: LoadOptions,
): Load => {
  const ending = new AbortController();
  let done = 0;
  const running = runWorkload({
    collection,
    subject: ASSORTED,
    seed,
    clients: writers,
    known: keys,
    first: keys,
    ratePerSecond: (writers * 1000) / Math.max(1, pauseMs),
    clock: systemClock,
    signal: ending.signal,
    onOperation: (total) => {
      done = total;
    },
  });
  running.catch(() => undefined); // reported by stop()
  return {
    done: () => done,
    stop: async () => {
      ending.abort();
      await running;
      return done;
    },
  };
};

/** Fills a collection before the copy. */
export const fill = async (collection: Collection, count: number, seed: number): Promise<void> => {
  const random = seeded(seed);
  for (let from = 0; from < count; from += 1000) {
    const documents = Array.from({ length: Math.min(1000, count - from) }, (_, i) =>
      someDocument(random, idOf(from + i)),
    );
    await collection.insertMany(documents);
  }
};

/** A copy of this namespace stands still until it is disposed of. */
export const copyHeld = async (here: MongoClient, nss: string): Promise<AsyncDisposable> => {
  const held = (mode: string, data: Document): Promise<Document> =>
    here.db("admin").command({ configureFailPoint: "waitInFindBeforeMakingBatch", mode, ...data });
  await held("alwaysOn", { data: { nss, shouldCheckForInterrupt: true } });
  return { [Symbol.asyncDispose]: async () => void (await held("off", {})) };
};
