import type { Clock } from "#base/flow/clock.ts";
import { pauseFor } from "#base/flow/every.ts";
import type { Collection, Document } from "#io/mongo/connect.ts";
import { translated } from "#io/mongo/errors.ts";

/** A document of the run book's `users`. `sex` is the field that a later schema added. */
export type Person = {
  _id: number;
  firstname: string;
  lastname: string;
  age: number;
  email: string;
  sex?: string;
};

/** A source of pseudo-random numbers in [0, 1), the same for the same seed. */
export type Random = () => number;

/** mulberry32: small, fast, good enough for test data, and the same on every machine. */
export const seeded = (seed: number): Random => {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
};

/** One of a list that is not empty. */
export const oneOf = <T>(random: Random, from: readonly T[]): T => from[Math.floor(random() * from.length)] as T;

/** A whole number from `low` to `high`, both included. */
export const between = (random: Random, low: number, high: number): number =>
  low + Math.floor(random() * (high - low + 1));

const FIRST_NAMES = [
  ["Ada", "female"],
  ["Amara", "female"],
  ["Anna", "female"],
  ["Chloé", "female"],
  ["Dilnoza", "female"],
  ["Emma", "female"],
  ["Fatima", "female"],
  ["Hanna", "female"],
  ["Ines", "female"],
  ["Linh", "female"],
  ["Maria", "female"],
  ["Mei", "female"],
  ["Noor", "female"],
  ["Sofia", "female"],
  ["Zoë", "female"],
  ["Ahmed", "male"],
  ["Björn", "male"],
  ["Carlos", "male"],
  ["David", "male"],
  ["Duc", "male"],
  ["Elias", "male"],
  ["Hiro", "male"],
  ["Ivan", "male"],
  ["James", "male"],
  ["Kofi", "male"],
  ["Luca", "male"],
  ["Minh", "male"],
  ["Omar", "male"],
  ["Paul", "male"],
  ["Tomás", "male"],
] as const;
const LAST_NAMES = [
  "Andersen",
  "Bauer",
  "Costa",
  "Diallo",
  "Eriksson",
  "Fischer",
  "García",
  "Haddad",
  "Ivanova",
  "Jones",
  "Kim",
  "Lefèvre",
  "Müller",
  "Nguyen",
  "Okafor",
  "Petrov",
  "Quispe",
  "Rossi",
  "Silva",
  "Tanaka",
  "Ueda",
  "Varga",
  "Wang",
  "Xu",
  "Yılmaz",
  "Zhang",
] as const;
const MAIL_HOSTS = ["example.com", "example.org", "example.net"] as const;

const plain = (name: string): string =>
  name
    .normalize("NFD")
    .replace(/[^a-zA-Z]/g, "")
    .toLowerCase();

/** The person with this `_id`: always the same for the same seed. Some have `sex` when `withSex`, as after the schema change. */
export const person = (seed: number, _id: number, withSex: boolean): Person => {
  const random = seeded(Math.imul(seed ^ 0x9e3779b9, 31) ^ Math.imul(_id + 1, 0x85ebca6b));
  const [firstname, sex] = oneOf(random, FIRST_NAMES);
  const lastname = oneOf(random, LAST_NAMES);
  const email = `${plain(firstname)}.${plain(lastname)}${_id}@${oneOf(random, MAIL_HOSTS)}`;
  const age = between(random, 18, 90);
  return { _id, firstname, lastname, age, email, ...(withSex && random() < 0.5 ? { sex } : {}) };
};

/** The number after the greatest numeric `_id` of the collection, 0 for an empty one. */
export const nextId = async (collection: Collection): Promise<number> => {
  const [last] = await translated("looking for the last _id", () =>
    collection
      .find({ _id: { $gte: Number.NEGATIVE_INFINITY } } as Document, {
        sort: { _id: -1 },
        limit: 1,
        projection: { _id: 1 },
      })
      .toArray(),
  );
  return last === undefined ? 0 : Math.floor(Number(last._id)) + 1;
};

export type InsertOptions = Readonly<{
  users: Collection;
  count: number;
  seed: number;
  clock: Clock;
  withSex?: boolean;
  /** Inserts per second; undefined = as fast as they go. */
  ratePerSecond?: number | undefined;
  signal?: AbortSignal | undefined;
}>;

const BATCH = 1000;

/**
 * Inserts `count` people after those that are there. Returns how many it inserted: fewer than `count` only after the
 * signal. @throws FERRY_MONGO_*
 */
export const insertPeople = async (options: InsertOptions): Promise<number> => {
  const { users, count, seed, clock, withSex = false, ratePerSecond, signal } = options;
  const first = await nextId(users);
  const began = clock.now();
  const size = ratePerSecond === undefined ? BATCH : Math.max(1, Math.min(BATCH, Math.floor(ratePerSecond / 20)));
  let done = 0;
  while (done < count && signal?.aborted !== true) {
    const batch = Array.from({ length: Math.min(size, count - done) }, (_, i) =>
      person(seed, first + done + i, withSex),
    );
    await translated("inserting people", () => users.insertMany(batch as Document[], { ordered: true }));
    done += batch.length;
    if (ratePerSecond === undefined) continue;
    const ahead = (done / ratePerSecond) * 1000 - (clock.now() - began);
    if (ahead > 0) await pauseFor(clock, ahead, signal); // a stop ends the wait, not the command
  }
  return done;
};
