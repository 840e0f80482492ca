/** The two topics of `bench apply`, made by the real connector from a real source. */
import { readFileSync } from "node:fs";
import { type AnyBulkWriteOperation, MongoClient } from "mongodb";
import { systemClock } from "#base/flow/clock.ts";
import { waitFor } from "#base/flow/retry.ts";
import { KafkaClient } from "#io/kafka/client.ts";
import type { Bench } from "./bench.ts";
import { type BenchStack, deleteConnector, startConnector } from "./stack.ts";

/** How many records a topic has: documents of a copy, events of a stream; `base`: documents that exist on both sides before the stream. */
export type Sizes = Readonly<{ copy: number; nested: number; stream: number; base: number }>;

/** The sizes of a bench, of which it may take a part. */
export const sizesOf = ({ sized }: Pick<Bench, "sized">): Sizes => ({
  copy: sized(500_000),
  nested: sized(240_000),
  stream: sized(300_000),
  base: sized(100_000),
});

/** First and last events of the stream: enough of them that every partition has some of each. */
export const MARKS = 64;
export const PARTITIONS = 4;
export const DB = "bench";

const FIRST = ["Ada", "Linus", "Grace", "Alan", "Edsger", "Barbara", "Ken", "Margaret"];
const LAST = ["Lovelace", "Hopper", "Turing", "Dijkstra", "Liskov", "Thompson", "Hamilton", "Ritchie"];

/** A user of about 105 bytes. */
export const user = (i: number): { _id: number; firstname: string; lastname: string; age: number; email: string } => ({
  _id: i,
  firstname: FIRST[i % FIRST.length] ?? "",
  lastname: LAST[(i >> 3) % LAST.length] ?? "",
  age: 18 + (i % 70),
  email: `user${String(i).padStart(7, "0")}@example.com`,
});

/** A user with an address and orders, of about 330 bytes. */
export const nestedUser = (i: number): { _id: number; address: object; orders: object[] } => ({
  ...user(i),
  address: {
    street: `${i} Long Street`,
    zip: String(10_000 + (i % 90_000)),
    geo: { lat: (i % 180) - 90, lon: i % 360 },
  },
  orders: Array.from({ length: 3 }, (_, n) => ({
    sku: `sku-${(i * 7 + n) % 1000}`,
    price: n * 10 + 0.5,
    note: "as usual",
  })),
});

/** Small seeded generator, so that every run has the same events. */
export const random = (seed: number): (() => number) => {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
};

/** The shipped connector settings, for one collection. */
export const recommended = (
  uri: string,
  coll: string,
  changes: Readonly<Record<string, string>> = {},
): Record<string, string> => {
  const file = JSON.parse(
    readFileSync(new URL("../../deploy/recommended-connector.json", import.meta.url), "utf8"),
  ) as { config: Record<string, string> };
  const text = JSON.stringify(file.config)
    .replaceAll('\\"users\\"', `\\"${coll}\\"`)
    .replaceAll("test\\\\.users", `${DB}\\\\.${coll}`);
  return {
    ...(JSON.parse(text) as Record<string, string>),
    "connection.uri": uri,
    database: DB,
    "offset.partition.name": `bench-${coll}`,
    "topic.creation.default.partitions": String(PARTITIONS),
    ...changes,
  };
};

const awaitRecords = async (kafka: KafkaClient, topic: string, count: number): Promise<void> => {
  await waitFor(
    async () => {
      const ends = await kafka.offsets(topic, "latest").catch(() => []);
      const total = ends.reduce((sum, end) => sum + end, 0);
      return total >= count ? { done: total } : { seen: total };
    },
    { what: `${count} records in ${topic}`, clock: systemClock, timeoutMs: 180_000, everyMs: 200 },
  );
};

/** Loads documents in parallel batches. */
export const load = async (
  client: MongoClient,
  coll: string,
  count: number,
  document: (i: number) => { _id: number } = user,
): Promise<void> => {
  const collection = client.db(DB).collection<{ _id: number }>(coll);
  for (let from = 0; from < count; from += 20_000) {
    await Promise.all(
      [0, 1, 2, 3].map((part) => {
        const start = from + part * 5000;
        if (start >= count) return undefined;
        return collection.insertMany(
          Array.from({ length: Math.max(0, Math.min(5000, count - start)) }, (_, i) => document(start + i)),
          { ordered: false },
        );
      }),
    );
  }
};

const copyTopic = async (
  stack: BenchStack,
  {
    source,
    kafka,
    coll,
    count,
    document,
  }: Readonly<{
    source: MongoClient;
    kafka: KafkaClient;
    coll: "copy" | "nested";
    count: number;
    document: (i: number) => { _id: number };
  }>,
): Promise<void> => {
  await load(source, coll, count, document);
  await startConnector(stack.connect.url, `make-${coll}`, recommended(stack.source.uri, coll));
  await awaitRecords(kafka, `${DB}.${coll}`, count);
  await deleteConnector(stack.connect.url, `make-${coll}`);
  console.log(`${coll} topic made`);
};

type Operation = Readonly<{ key: number; write: AnyBulkWriteOperation<{ _id: number }> }>;

/** 50 % update, 30 % insert, 20 % delete; keys skewed: a fifth of the keys gets most of the changes. */
const streamOperations = ({ base, stream }: Sizes): Operation[] => {
  const next = random(42);
  const alive = Array.from({ length: base }, (_, i) => i);
  let newest = base;
  return Array.from({ length: stream }, () => {
    const dice = next();
    if (dice < 0.3) {
      alive.push(newest);
      return { key: newest, write: { insertOne: { document: user(newest++) } } };
    }
    const at = Math.floor(next() ** 3 * alive.length);
    const key = alive[at] ?? 0;
    if (dice < 0.8) {
      const change = {
        age: Math.floor(next() * 90),
        city: `c${Math.floor(next() * 50)}`,
        seen: Math.floor(next() * 1e9),
      };
      return { key, write: { updateOne: { filter: { _id: key }, update: { $set: change } } } };
    }
    alive[at] = alive.at(-1) ?? 0;
    alive.pop();
    return { key, write: { deleteOne: { filter: { _id: key } } } };
  });
};

/** Many concurrent services: each owns some keys and works in order, so kinds and keys interleave as they do in life. */
const writeStream = async (client: MongoClient, sizes: Sizes): Promise<void> => {
  const collection = client.db(DB).collection<{ _id: number }>("stream");
  const queues = Array.from({ length: 64 }, (): Operation["write"][] => []);
  for (const { key, write } of streamOperations(sizes)) queues[key % queues.length]?.push(write);
  await Promise.all(
    queues.map(async (queue) => {
      for (let from = 0; from < queue.length; from += 200)
        await collection.bulkWrite(queue.slice(from, from + 200), { ordered: true, writeConcern: { w: 1 } });
    }),
  );
};

const marks = (name: string): { _id: string }[] => Array.from({ length: MARKS }, (_, i) => ({ _id: `${name}-${i}` }));

const streamTopic = async (stack: BenchStack, source: MongoClient, kafka: KafkaClient, sizes: Sizes): Promise<void> => {
  const collection = source.db(DB).collection("stream");
  await load(source, "stream", sizes.base);
  await startConnector(
    stack.connect.url,
    "make-stream",
    recommended(stack.source.uri, "stream", { "startup.mode": "latest", "heartbeat.interval.ms": "500" }),
  );
  // The connector is at work when a probe of ours comes through.
  await waitFor(
    async () => {
      await collection.updateOne({ _id: "probe" as never }, { $inc: { n: 1 } }, { upsert: true });
      const ends = await kafka.offsets(`${DB}.stream`, "latest").catch(() => []);
      return ends.some((end) => end > 0) ? { done: undefined } : { seen: "nothing yet" };
    },
    { what: "first streamed event", clock: systemClock, timeoutMs: 60_000, everyMs: 300 },
  );
  await collection.insertMany(marks("begin") as never);
  await writeStream(source, sizes);
  await collection.insertMany(marks("end") as never);
  await awaitRecords(kafka, `${DB}.stream`, sizes.stream + 2 * MARKS);
  await deleteConnector(stack.connect.url, "make-stream");
};

export type Topic = "copy" | "stream" | "nested";

/** Topics that a stack has already: benches that share one share them. */
const made = new WeakMap<object, Set<Topic>>();

/** Makes topics; prints how long it took. */
export const makeTopics = async (stack: BenchStack, topics: readonly Topic[], sizes: Sizes): Promise<void> => {
  const there = made.get(stack.kafka) ?? new Set();
  made.set(stack.kafka, there);
  const source = await MongoClient.connect(stack.source.uri);
  await using kafka = new KafkaClient({ bootstrap: stack.kafka.bootstrap, clientId: "bench", group: "bench" });
  const started = Date.now();
  for (const topic of topics.filter((topic) => !there.has(topic))) {
    const document = topic === "copy" ? user : nestedUser;
    if (topic === "stream") await streamTopic(stack, source, kafka, sizes);
    else await copyTopic(stack, { source, kafka, coll: topic, count: sizes[topic], document });
    there.add(topic);
  }
  await source.close();
  console.log(`topics made by the real connector in ${Math.round((Date.now() - started) / 1000)} s`);
};
