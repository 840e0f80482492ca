/**
 * The ceiling: raw batches, read and cut beforehand, straight into the target with four in flight. `shared`: the same
 * while a process of its own drains the topic with the same client and does nothing else.
 * Usage: ceiling.ts TARGET BOOTSTRAP TOPIC alone|shared → { perSecond }
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { MongoClient } from "mongodb";
import { rawValue } from "#base/bson/walk.ts";
import { KafkaClient } from "#io/kafka/client.ts";
import { rawInsert } from "#io/mongo/rawWrites.ts";

const [, , uri = "", bootstrap = "", topic = "", mode = "alone"] = process.argv;
const BATCH = 2000;
const IN_FLIGHT = 4;

const readAll = async (kafka: KafkaClient): Promise<Uint8Array[]> => {
  const documents: Uint8Array[] = [];
  const ends = await kafka.offsets(topic, "latest");
  for (const [partition, end] of ends.entries()) {
    for (let offset = 0; offset < end; ) {
      const result = await kafka.fetch({ topic, partition, offset, maxBytes: 1 << 20, maxWaitMs: 500 });
      for (const { value } of result.records) {
        const document = value === null ? undefined : rawValue(value, "fullDocument");
        if (document !== undefined) documents.push(Buffer.from(document));
      }
      offset = result.end;
    }
  }
  return documents;
};

await using kafka = new KafkaClient({ bootstrap, clientId: "ceiling", group: "ceiling" });
const documents = await readAll(kafka);
const client = await MongoClient.connect(uri, { writeConcern: { w: 1 } });
const [dbName = "", coll = ""] = topic.split(".");
const db = client.db(dbName);

const consumer =
  mode === "shared"
    ? spawn(process.execPath, [fileURLToPath(new URL("./drain.ts", import.meta.url)), bootstrap, topic], {
        stdio: ["ignore", "pipe", "inherit"],
      })
    : undefined;
if (consumer !== undefined) await once(consumer.stdout, "data"); // it has read its first batch

let next = 0;
const started = performance.now();
await Promise.all(
  Array.from({ length: IN_FLIGHT }, async () => {
    for (let from = next; from < documents.length; from = next) {
      next += BATCH;
      await rawInsert(documents.slice(from, from + BATCH), { db, coll, ordered: false });
    }
  }),
);
const seconds = (performance.now() - started) / 1000;
if (consumer !== undefined) {
  consumer.kill("SIGKILL");
  await once(consumer, "exit");
}
await client.close();
console.log(JSON.stringify({ perSecond: documents.length / seconds }));
