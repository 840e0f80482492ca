import { FerryError, isFerry } from "#base/errors/ferryError.ts";
import type { Clock } from "#base/flow/clock.ts";
import { pauseFor } from "#base/flow/every.ts";
import { retry } from "#base/flow/retry.ts";
import type { Collection, Document } from "#io/mongo/connect.ts";
import { translated } from "#io/mongo/errors.ts";
import { hasServerCode, ServerCode } from "#io/mongo/serverCodes.ts";
import { between, nextId, oneOf, person, type Random, seeded } from "./people.ts";

/** What a workload did, acknowledged by the server. `missed`: updates and deletes of documents that were gone, and refusals. */
export type WorkloadCounts = { inserted: number; updated: number; replaced: number; deleted: number; missed: number };

/** What the documents of a workload are like. They are numbered; the same random numbers give the same ones. */
export type Subject = Readonly<{
  /** `_id` of the n-th document. */
  id: (n: number) => unknown;
  /** The n-th document, with its `_id`. */
  document: (n: number, random: Random) => Document;
  /** One of its changes. A server may refuse it for the document's own sake. */
  update: (random: Random) => Document | Document[];
}>;

export type WorkloadOptions = Readonly<{
  collection: Collection;
  /** The run book's people, by default. */
  subject?: Subject;
  /** Concurrent writers. Each has documents of its own and a share in the hot ones. */
  clients: number;
  /** The same seed and number of clients give the same sequence of operations, client by client. */
  seed: number;
  clock: Clock;
  /** Ends the workload: what was begun is finished, then it returns its counts. */
  signal: AbortSignal;
  /** Of all clients together; undefined = until the signal. */
  operations?: number | undefined;
  /** All clients together, per second; undefined = as fast as they go. */
  ratePerSecond?: number | undefined;
  /** So many documents, from the first on, are there already and belong to the clients like those that they insert. */
  known?: number;
  /** Number of the first document to insert; undefined = after the known ones and the greatest numeric `_id` there is. */
  first?: number | undefined;
  /** Called after each operation, e.g. to kill something in the middle. */
  onOperation?: (total: number) => void;
}>;

/** How many of the first documents all clients write to, and how often, so that one document has many writers. */
const HOT_DOCUMENTS = 10;
const HOT_SHARE = 0.1;
/** How often an insert takes an `_id` that was deleted, where there is one. */
const BACK_SHARE = 0.5;
/** A source that is electing is waited for this long, ms. */
const PATIENCE_MS = 60_000;

const UPDATES: readonly ((random: Random) => Document | Document[])[] = [
  (random) => ({ $set: { age: between(random, 18, 90) } }),
  (random) => ({
    $set: {
      "address.city": oneOf(random, ["Hanoi", "Lyon", "Lagos", "Lima"]),
      "address.zip": between(random, 1, 99999),
    },
  }),
  (random) => ({ $unset: { [oneOf(random, ["sex", "nickname", "address.zip", "tags"])]: "" } }),
  (random) => ({ $inc: { visits: between(random, 1, 5) } }),
  (random) => ({ $push: { tags: oneOf(random, ["new", "vip", "late", "mobile"]) } }),
  (random) => ({ $push: { tags: { $each: ["a", "b"], $slice: -between(random, 2, 6) } } }),
  (random) => ({ $set: { [`scores.${between(random, 0, 3)}`]: random() } }),
  (random) => [{ $set: { nickname: { $concat: ["$firstname", String(between(random, 0, 9))] }, tags: "$$REMOVE" } }],
  (random) => [{ $replaceWith: { $mergeObjects: ["$$ROOT", { seen: between(random, 0, 1000) }] } }],
  (random) => ({ $set: { sex: oneOf(random, ["female", "male"]) }, $inc: { visits: 1 } }),
];

const PEOPLE: Subject = {
  id: (n) => n,
  document: (n, random) => ({
    ...person(between(random, 0, 2 ** 31), n, true),
    ...(random() < 0.3 ? { scores: [random(), 1, 2.5] } : {}),
  }),
  update: (random) => oneOf(random, UPDATES)(random),
};

type Writer = Readonly<{ collection: Collection; subject: Subject; random: Random; clients: number }>;
/** Numbers of the documents that a client has, of those that it has deleted, and the next one it inserts. */
type Own = { live: number[]; gone: number[]; next: number };

/** Picks a document: mostly one of the client's own, recent ones more often; sometimes a hot one. */
const choose = ({ random }: Writer, { live }: Own): number => {
  const hot = random() < HOT_SHARE;
  const skewed = live[Math.floor(live.length * (1 - random() ** 2))];
  return hot || skewed === undefined ? between(random, 0, HOT_DOCUMENTS - 1) : skewed;
};

const insert = ({ collection, subject, random, clients }: Writer, own: Own, counts: WorkloadCounts) => {
  const back = random() < BACK_SHARE ? own.gone.pop() : undefined;
  const n = back ?? own.next;
  if (back === undefined) own.next += clients;
  const document = subject.document(n, random);
  let tries = 0;
  return async (): Promise<void> => {
    tries += 1;
    try {
      await collection.insertOne({ ...document });
    } catch (error) {
      // The first try of a retried insert had arrived after all; at the first one another client was there before.
      if (tries === 1 || !hasServerCode(error, ServerCode.DuplicateKey)) throw error;
    }
    own.live.push(n);
    counts.inserted += 1;
  };
};

/** One random operation. The random numbers are drawn before anything is sent, so that a retry repeats the same one. */
const operate = (writer: Writer, own: Own, counts: WorkloadCounts): (() => Promise<void>) => {
  const { collection, subject, random } = writer;
  const dice = random();
  if (dice < 0.3 || own.live.length < 3) return insert(writer, own, counts);
  const n = choose(writer, own);
  const filter = { _id: subject.id(n) } as Document;
  if (dice < 0.75) {
    const update = subject.update(random);
    return async () => {
      const { matchedCount } = await collection.updateOne(filter, update);
      counts[matchedCount === 1 ? "updated" : "missed"] += 1;
    };
  }
  if (dice < 0.87) {
    const { _id, ...replacement } = subject.document(n, random);
    return async () => {
      // Upserting: a hot document that some client has deleted comes back.
      const { matchedCount } = await collection.replaceOne(filter, replacement, { upsert: true });
      counts[matchedCount === 1 ? "replaced" : "inserted"] += 1;
    };
  }
  return async () => {
    const { deletedCount } = await collection.deleteOne(filter);
    const at = own.live.indexOf(n);
    if (at >= 0) own.live.splice(at, 1);
    if (at >= 0 && n >= HOT_DOCUMENTS) own.gone.push(n);
    counts[deletedCount === 1 ? "deleted" : "missed"] += 1;
  };
};

/** A document refused for its own sake (a path through a number, say) is part of the workload, not its end. */
const REFUSED = "FERRY_MONGO_REJECTED";

const sum = (counts: WorkloadCounts): number => Object.values(counts).reduce((a, b) => a + b, 0);

const runClient = async (
  client: number,
  first: number,
  options: WorkloadOptions,
  counts: WorkloadCounts,
): Promise<void> => {
  const { collection, subject = PEOPLE, clients, seed, clock, signal, ratePerSecond, known = 0 } = options;
  const { operations: total = Number.POSITIVE_INFINITY } = options;
  const writer: Writer = { collection, subject, random: seeded(Math.imul(seed, 1009) + client), clients };
  const live = Array.from({ length: known }, (_, n) => n).filter((n) => n % clients === client);
  const own: Own = { live, gone: [], next: first + client };
  const began = clock.now();
  for (let turn = client; turn < total && !signal.aborted; turn += clients) {
    const ahead = ratePerSecond === undefined ? 0 : (turn * 1000) / ratePerSecond - (clock.now() - began);
    if (ahead > 0) await pauseFor(clock, ahead, signal); // a stop ends the wait, not the run
    if (signal.aborted) return;
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
    options.onOperation?.(sum(counts));
  }
};

/**
 * Mixed inserts, updates, replaces and deletes by concurrent clients, until the signal or the number of operations.
 * Returns true counts. @throws FERRY_MONGO_* when the source stays away; FERRY_USAGE for no client.
 */
export const runWorkload = async (options: WorkloadOptions): Promise<WorkloadCounts> => {
  const { collection, clients, known = 0 } = options;
  if (clients < 1) throw new FerryError("FERRY_USAGE", "a workload needs at least one client");
  const counts: WorkloadCounts = { inserted: 0, updated: 0, replaced: 0, deleted: 0, missed: 0 };
  const first = options.first ?? Math.max(known, await nextId(collection));
  await Promise.all(Array.from({ length: clients }, (_, client) => runClient(client, first, options, counts)));
  return counts;
};
