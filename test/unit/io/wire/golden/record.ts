/**
 * Records the golden files again: `node test/unit/io/wire/golden/record.ts`. Starts mongod, Kafka and Kafka Connect, lets one
 * connector per record format watch the same changes, and writes what reached the topics, byte for byte. Only needed for
 * another version of the connector; the tests read the files.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  Binary,
  Code,
  Decimal128,
  Double,
  Int32,
  Long,
  MaxKey,
  MinKey,
  MongoClient,
  ObjectId,
  Timestamp,
} from "mongodb";
import { systemClock } from "#base/flow/clock.ts";
import { retry, waitFor } from "#base/flow/retry.ts";
import type { LogRecord } from "#base/flow/types.ts";
import { KafkaClient } from "#io/kafka/client.ts";
import { ConnectRest } from "#source/connect/connectRest.ts";
import { startKafka } from "#tools/stack/kafka.ts";
import { startConnect } from "#tools/stack/kafkaConnect.ts";
import { startMongo } from "#tools/stack/mongod.ts";
import { tempFolder } from "../../../../harness/folders.ts";

const FORMATTER = "com.mongodb.kafka.connect.source.json.formatter.";
const STRING = "org.apache.kafka.connect.storage.StringConverter";
const BYTES = "org.apache.kafka.connect.converters.ByteArrayConverter";
const JSON_CONVERTER = "org.apache.kafka.connect.json.JsonConverter";

const extended = { "output.json.formatter": `${FORMATTER}ExtendedJson` };
const stringKey = { "output.format.key": "json", "key.converter": STRING };
const jsonConverter = (schemas: boolean) => ({
  "key.converter": JSON_CONVERTER,
  "key.converter.schemas.enable": String(schemas),
  "value.converter": JSON_CONVERTER,
  "value.converter.schemas.enable": String(schemas),
});

/** Name of the golden file → what it changes in the connector's configuration. */
const VARIANTS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  bson: { ...extended, ...stringKey, "output.format.value": "bson", "value.converter": BYTES },
  "bson-keys": {
    "output.format.key": "bson",
    "key.converter": BYTES,
    "output.format.value": "bson",
    "value.converter": BYTES,
  },
  canonical: { ...extended, ...stringKey, "output.format.value": "json", "value.converter": STRING },
  legacy: { ...stringKey, "output.format.value": "json", "value.converter": STRING },
  "legacy-deltas": {
    ...stringKey,
    "output.format.value": "json",
    "value.converter": STRING,
    "change.stream.full.document": "default",
    "change.stream.show.expanded.events": "false",
  },
  "token-keys": {
    ...extended,
    ...stringKey,
    "output.format.value": "bson",
    "value.converter": BYTES,
    "change.stream.document.key.as.key": "false",
  },
  envelope: { ...extended, ...jsonConverter(true), "output.format.value": "json" },
  quoted: { ...extended, ...jsonConverter(false), "output.format.value": "json" },
  "base64-envelope": { ...extended, ...jsonConverter(true), "output.format.value": "bson" },
  base64: { ...extended, ...jsonConverter(false), "output.format.value": "bson" },
  schema: { ...extended, ...jsonConverter(true), "output.format.key": "schema", "output.format.value": "schema" },
  "schema-plain": {
    ...extended,
    ...jsonConverter(false),
    "output.format.key": "schema",
    "output.format.value": "schema",
  },
  "full-document-only": {
    ...stringKey,
    "output.format.value": "json",
    "value.converter": STRING,
    "publish.full.document.only": "true",
  },
};

const DB = "shop";
const PIPELINE = JSON.stringify([
  { $addFields: { copyTime: { $cond: ["$_id.copyingData", "$$CLUSTER_TIME", "$$REMOVE"] } } },
]);

const configOf = (variant: string, uri: string): Record<string, string> => ({
  "connector.class": "com.mongodb.kafka.connect.MongoSourceConnector",
  "tasks.max": "1",
  "connection.uri": uri,
  database: DB,
  pipeline: PIPELINE,
  "startup.mode": "copy_existing",
  "startup.mode.copy.existing.namespace.regex": `^${DB}\\.users$`,
  "topic.prefix": variant,
  "offset.partition.name": variant,
  "change.stream.full.document": "updateLookup",
  "change.stream.show.expanded.events": "true",
  "poll.await.time.ms": "200",
  "topic.creation.default.partitions": "1",
  "topic.creation.default.replication.factor": "1",
  ...(variant === "bson-keys"
    ? {}
    : { "heartbeat.interval.ms": "1000", "heartbeat.topic.name": `${variant}.heartbeats` }),
  ...VARIANTS[variant],
});

/** Every type that all formats carry; the rest is the property tests' part. */
const everyType = {
  _id: new ObjectId("64b000000000000000000001"),
  double: new Double(5),
  fraction: -0.1,
  minusZero: new Double(-0),
  nan: Number.NaN,
  infinity: -Infinity,
  int: new Int32(7),
  long: Long.fromString("9007199254740993"),
  smallLong: Long.fromNumber(7),
  decimal: Decimal128.fromString("1.50E+10"),
  text: 'тёст 😀 "quoted" \\ \n\u0001',
  object: { b: 1, a: { nested: [1, { deep: null }] } },
  empty: {},
  array: [1, "two", [3]],
  binary: new Binary(Buffer.from([1, 2, 3]), 0),
  old: new Binary(Buffer.from([1, 2, 3]), 2),
  uuid: new Binary(Buffer.alloc(16, 7), 4),
  yes: true,
  date: new Date("2024-02-29T12:34:56.789Z"),
  before1970: new Date("1969-07-20T20:17:40Z"),
  nothing: null,
  regex: /^a.*b$/i,
  code: new Code("f()"),
  scoped: new Code("f(x)", { x: 1 }),
  timestamp: new Timestamp({ t: 4294967295, i: 1 }),
  min: new MinKey(),
  max: new MaxKey(),
  "10": "numeric names",
  "9": "keep their order",
};

const change = async (client: MongoClient): Promise<void> => {
  const db = client.db(DB);
  const users = db.collection<{ _id: number; [name: string]: unknown }>("users");
  await users.insertOne({ ...everyType, _id: new Int32(3) } as never);
  await users.updateOne({ _id: 2 }, { $set: { name: "B", "o.b": 2 }, $unset: { gone: "" } });
  // Only a pipeline update of an array with some length is reported as a truncation.
  await users.updateOne({ _id: 2 }, [{ $set: { list: { $slice: ["$list", 2] } } }]);
  await users.replaceOne({ _id: 3 }, { name: "C" });
  await client.withSession((session) =>
    session.withTransaction(async () => {
      await users.updateOne({ _id: 3 }, { $set: { y: 2 } }, { session });
      await users.deleteOne({ _id: 3 }, { session });
      await users.insertOne({ _id: { b: 1, a: { _data: "82", copyingData: true } } as never }, { session });
    }),
  );
  await users.insertOne({ _id: { _data: "8264B0", copyingData: true } as never });
  await users.createIndex({ name: 1 });
  await db.command({ collMod: "users", index: { name: "name_1", hidden: true } });
  await users.dropIndex("name_1");
  await db.createCollection("orders");
  await db.collection("orders").insertOne({ _id: 1 as never });
  await db.collection("orders").rename("invoices");
  await db.collection("invoices").drop();
  await db.collection("last").insertOne({ _id: 1 as never });
};

type Golden = Readonly<{ topic: string; key: string | null; value: string | null; form: "text" | "hex" }>;

const printable = (bytes: Uint8Array | null): boolean =>
  bytes === null || (Buffer.from(bytes.toString()).equals(bytes as Buffer) && !bytes.includes(0));

const spell = (topic: string, { key, value }: LogRecord): Golden => {
  const form = printable(key) && printable(value) ? "text" : "hex";
  const one = (bytes: Uint8Array | null): string | null =>
    bytes && Buffer.from(bytes).toString(form === "text" ? "utf8" : "hex");
  return { topic, key: one(key), value: one(value), form };
};

const readTopic = async (client: KafkaClient, topic: string): Promise<LogRecord[]> => {
  const records: LogRecord[] = [];
  for (let offset = 0; ; ) {
    const request = { topic, partition: 0, offset, maxBytes: 1 << 20, maxWaitMs: 100 };
    const result = await retry(() => client.fetch(request), { what: topic, clock: systemClock, giveUpAfterMs: 30_000 });
    records.push(...result.records);
    offset = result.end;
    if (offset >= result.highWatermark) return records;
  }
};

using folder = tempFolder();
await using mongo = await startMongo({ dir: join(folder.path, "mongo"), name: "mongo", replSet: "rs0", cacheGb: 0.25 });
await using kafka = await startKafka({ dir: join(folder.path, "kafka") });
await using connect = await startConnect({ dir: join(folder.path, "connect"), bootstrap: kafka.bootstrap, heap: "1g" });
await using client = await new MongoClient(mongo.uri).connect();
await using log = new KafkaClient({ bootstrap: kafka.bootstrap, clientId: "golden", group: "golden" });

await client
  .db(DB)
  .collection("users")
  .insertMany([everyType, { _id: 2 as never, name: "b", o: { a: 1 }, gone: 1, list: new Array(20).fill("element") }]);
const rest = new ConnectRest({ url: connect.url, clock: systemClock });
const variants = Object.keys(VARIANTS);

const records = async (topic: string): Promise<LogRecord[]> =>
  (await log.topics()).includes(topic) ? readTopic(log, topic) : [];

/** Waits until every variant's topic of this name holds enough records. */
const arrived = (
  suffix: string,
  count: number,
  among: readonly string[],
  again?: () => Promise<unknown>,
): Promise<boolean> =>
  waitFor(
    async () => {
      await again?.();
      const missing: string[] = [];
      for (const variant of among) if ((await records(`${variant}.${suffix}`)).length < count) missing.push(variant);
      return missing.length === 0 ? { done: true } : { seen: `missing in ${missing}` };
    },
    { what: `${suffix} in every format`, clock: systemClock, timeoutMs: 120_000, everyMs: 500 },
  );

for (const variant of variants) await rest.putConfig(variant, configOf(variant, mongo.uri));
await arrived(`${DB}.users`, 2, variants);
// A tick that arrives proves that the stream is open; what comes after it is seen by every connector.
await arrived(`${DB}.ticks`, 1, variants, () => client.db(DB).collection("ticks").insertOne({}));
await change(client);
await arrived(`${DB}.last`, 1, variants);
const beating = variants.filter((variant) => variant !== "bson-keys");
await arrived("heartbeats", 1, beating);
await client.db(DB).dropDatabase();
// With full documents only, what has no document has no database record either.
await arrived(
  DB,
  1,
  variants.filter((variant) => variant !== "full-document-only"),
);

for (const variant of variants) {
  const golden: Golden[] = [];
  for (const name of [`${DB}.users`, `${DB}.orders`, `${DB}.invoices`, DB, "heartbeats"]) {
    const found = await records(`${variant}.${name}`);
    for (const record of name === "heartbeats" ? found.slice(0, 1) : found) golden.push(spell(name, record));
  }
  writeFileSync(join(import.meta.dirname, `${variant}.json`), `${JSON.stringify(golden, null, 2)}\n`);
  console.log(`${variant}: ${golden.length} records`);
}
