import { FerryError, isFerry } from "#errors/ferryError.ts";
import type { Clock } from "#flow/clock.ts";
import { retry } from "#flow/retry.ts";
import type { Collection, Document } from "#mongo/connect.ts";
import { translated } from "#mongo/errors.ts";
import { between, nextId, type Person, person, pick, type Random, seeded } from "./genData.ts";

/** What a workload did, acknowledged by the server. `missed`: updates and deletes of documents that were gone. */
export type WorkloadCounts = { inserted: number; updated: number; replaced: number; deleted: number; missed: number };

export type WorkloadOptions = Readonly<{
  users: Collection<Person>;
  /** Concurrent writers. Each has documents of its own and a share in the hot ones. */
  clients: number;
  /** The same seed and number of clients give the same sequence of operations, client by client. */
  seed: number;
  clock: Clock;
  /** Ends the workload: what was begun is finished, then it returns its counts. */
  signal: AbortSignal;
  /** Operations per client; undefined = until the signal. */
  operations?: number | undefined;
  /** All clients together, per second; undefined = as fast as they go. */
  ratePerSecond?: number | undefined;
  /** First `_id` of the inserted documents; undefined = after the greatest that is there. */
  firstId?: number | undefined;
  /** Called after each operation, e.g. to kill something in the middle. */
  onOperation?: (total: number) => void;
}>;

/** How many of the oldest documents all clients write to, and how often, so that one document has many writers. */
const HOT_DOCUMENTS = 10;
const HOT_SHARE = 0.1;
/** A source that is electing is waited for this long, ms. */
const PATIENCE_MS = 60_000;

type Writer = Readonly<{ users: Collection<Person>; random: Random; options: WorkloadOptions }>;
/** The `_id`s that a client has inserted and not deleted, and the next one it takes. */
type Own = { live: number[]; next: number };

const UPDATES: readonly [(random: Random) => Document | Document[], ...((random: Random) => Document | Document[])[]] =
  [
    (random) => ({ $set: { age: between(random, 18, 90) } }),
    (random) => ({
      $set: {
        "address.city": pick(random, ["Hanoi", "Lyon", "Lagos", "Lima"]),
        "address.zip": between(random, 1, 99999),
      },
    }),
    (random) => ({ $unset: { [pick(random, ["sex", "nickname", "address.zip", "tags"])]: "" } }),
    (random) => ({ $inc: { visits: between(random, 1, 5) } }),
    (random) => ({ $push: { tags: pick(random, ["new", "vip", "late", "mobile"]) } }),
    (random) => ({ $push: { tags: { $each: ["a", "b"], $slice: -between(random, 2, 6) } } }),
    (random) => ({ $set: { [`scores.${between(random, 0, 3)}`]: random() } }),
    (random) => [{ $set: { nickname: { $concat: ["$firstname", String(between(random, 0, 9))] }, tags: "$$REMOVE" } }],
    (random) => [{ $replaceWith: { $mergeObjects: ["$$ROOT", { seen: between(random, 0, 1000) }] } }],
    (random) => ({ $set: { sex: pick(random, ["female", "male"]) }, $inc: { visits: 1 } }),
  ];

/** Picks an `_id`: mostly one of the client's own, recent ones more often; sometimes a hot one. */
const choose = ({ random, options }: Writer, own: Own): number => {
  const hot = random() < HOT_SHARE;
  const skewed = Math.floor(own.live.length * (1 - random() ** 2));
  return hot || own.live.length === 0 ? between(random, 0, HOT_DOCUMENTS - 1) : (own.live[skewed] ?? options.seed);
};

const insert = async ({ users, random, options }: Writer, own: Own, counts: WorkloadCounts): Promise<void> => {
  const _id = own.next;
  const document = { ...person(options.seed, _id, true), ...(random() < 0.3 ? { scores: [random(), 1, 2.5] } : {}) };
  own.next += options.clients;
  try {
    await users.insertOne(document);
  } catch (error) {
    // The first try of a retried insert had arrived after all.
    if ((error as { code?: number }).code !== 11000) throw error;
  }
  own.live.push(_id);
  counts.inserted += 1;
};

/** One random operation. The random numbers are drawn before anything is sent, so that a retry repeats the same one. */
const operate = (writer: Writer, own: Own, counts: WorkloadCounts): (() => Promise<void>) => {
  const { users, random, options } = writer;
  const dice = random();
  if (dice < 0.3 || own.live.length < 3) return () => insert({ ...writer, random: seeded(own.next) }, own, counts);
  const _id = choose(writer, own);
  if (dice < 0.75) {
    const update = pick(random, UPDATES)(random);
    return async () => {
      const { matchedCount } = await users.updateOne({ _id }, update);
      counts[matchedCount === 1 ? "updated" : "missed"] += 1;
    };
  }
  if (dice < 0.87) {
    const { _id: _, ...replacement } = person(options.seed + between(random, 1, 1000), _id, true);
    return async () => {
      const { matchedCount } = await users.replaceOne({ _id }, { ...replacement, replaced: true } as Omit<
        Person,
        "_id"
      >);
      counts[matchedCount === 1 ? "replaced" : "missed"] += 1;
    };
  }
  return async () => {
    const { deletedCount } = await users.deleteOne({ _id });
    const at = own.live.indexOf(_id);
    if (at >= 0) own.live.splice(at, 1);
    counts[deletedCount === 1 ? "deleted" : "missed"] += 1;
  };
};

/** A document refused for its own sake (a path through a number, say) is part of the workload, not its end. */
const REFUSED = "FERRY_MONGO_REJECTED";

const runClient = async (
  client: number,
  firstId: number,
  options: WorkloadOptions,
  counts: WorkloadCounts,
): Promise<void> => {
  const { users, clients, seed, clock, signal, operations = Number.POSITIVE_INFINITY, ratePerSecond } = options;
  const writer: Writer = { users, random: seeded(Math.imul(seed, 1009) + client), options };
  const own: Own = { live: [], next: firstId + client };
  const began = clock.now();
  for (let done = 0; done < operations && !signal.aborted; done++) {
    const operation = operate(writer, own, counts);
    try {
      // Without the signal: what was begun is finished, so that the counts are true.
      await retry(() => translated("writing the workload", operation), {
        what: "workload",
        clock,
        giveUpAfterMs: PATIENCE_MS,
      });
    } catch (error) {
      if (!isFerry(error, REFUSED)) throw error;
      counts.missed += 1;
    }
    options.onOperation?.(counts.inserted + counts.updated + counts.replaced + counts.deleted + counts.missed);
    if (ratePerSecond === undefined) continue;
    const ahead = ((done + 1) * clients * 1000) / ratePerSecond - (clock.now() - began);
    if (ahead > 0) await clock.sleep(ahead, signal).catch(() => undefined); // a stop ends the wait, not the run
  }
};

/**
 * Mixed inserts, updates, replaces and deletes by concurrent clients, until the signal or the number of operations.
 * Returns true counts. @throws FERRY_MONGO_* when the source stays away; FERRY_USAGE for no client.
 */
export const runWorkload = async (options: WorkloadOptions): Promise<WorkloadCounts> => {
  if (options.clients < 1) throw new FerryError("FERRY_USAGE", "a workload needs at least one client");
  const counts: WorkloadCounts = { inserted: 0, updated: 0, replaced: 0, deleted: 0, missed: 0 };
  const firstId = options.firstId ?? (await nextId(options.users));
  await Promise.all(
    Array.from({ length: options.clients }, (_, client) => runClient(client, firstId, options, counts)),
  );
  return counts;
};
