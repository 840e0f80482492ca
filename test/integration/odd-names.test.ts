import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { MongoClient } from "mongodb";
import { systemClock } from "#flow/clock.ts";
import { waitFor } from "#flow/retry.ts";
import { KafkaClient } from "#kafka/client.ts";
import { topicFor } from "#kafka/topicName.ts";
import { type FerryRun, ferry } from "../harness/ferry.ts";
import { tempFolder } from "../harness/folders.ts";
import { sharedConnect, sharedKafka, sharedMongo } from "../harness/servers.ts";
import { startWorker } from "../harness/worker.ts";

test("the connector and a name that Kafka refuses: which one it is, how to carry it and how to leave it out", async () => {
  const [source, target] = [await sharedMongo("source"), await sharedMongo("target")];
  const [kafka, connect] = [await sharedKafka(), await sharedConnect()];
  await using here = await new MongoClient(source.uri).connect();
  await using there = await new MongoClient(target.uri).connect();
  const db = here.db("w7");
  const file = join(tempFolder().path, "odd.json");
  const config = {
    "connector.class": "com.mongodb.kafka.connect.MongoSourceConnector",
    "connection.uri": `${source.uri}&readConcernLevel=majority`,
    database: "w7",
    "startup.mode": "copy_existing",
    "change.stream.full.document": "updateLookup",
    "poll.await.time.ms": "200",
    "heartbeat.interval.ms": "1000",
    "errors.retry.timeout": "0",
    "topic.creation.default.partitions": "1",
    "topic.creation.default.replication.factor": "1",
  };
  const urls = ["--source", source.uri, "--target", target.uri, "--kafka", kafka.bootstrap, "--connect", connect.url];
  const cx = (more: Record<string, string>): Promise<FerryRun> => {
    writeFileSync(file, JSON.stringify({ name: "odd", config: { ...config, ...more } }));
    return ferry(["cx", file, ...urls]);
  };
  /** Connect may still tell of the task that failed before. */
  const mended = (more: Record<string, string>): Promise<FerryRun> =>
    waitFor(
      async () => {
        const run = await cx(more);
        return run.status === 0 ? { done: run } : { seen: run.err };
      },
      { what: "the connector to run again", clock: systemClock, timeoutMs: 30_000, everyMs: 500 },
    );
  const status = (wanted: RegExp): Promise<string> =>
    waitFor(
      async () => {
        const { out: stdout } = await ferry(["status", ...urls]);
        return wanted.test(stdout) ? { done: stdout } : { seen: stdout.slice(-1500) };
      },
      { what: `status to say ${wanted}`, clock: systemClock, timeoutMs: 60_000, everyMs: 1000 },
    );
  await db.collection("plain").insertOne({ n: 1 });
  assert.equal((await cx({})).status, 0);
  await db.collection("üñï").insertOne({ n: 1 });
  const said = await status(/FERRY_CAPTURE_TOPIC_NAME/);
  assert.match(said, /w7\.üñï/);
  assert.match(said, /topic\.namespace\.map/);
  assert.match(said, /"\$ne":"üñï"/);

  const carried = { "topic.namespace.map": JSON.stringify({ "w7.üñï": topicFor("w7.üñï") }) };
  await mended(carried);
  await db.collection("two words").insertOne({ n: 1 });
  assert.match(await status(/w7\.two words/), /FERRY_CAPTURE_TOPIC_NAME/);
  const out = await mended({ ...carried, pipeline: JSON.stringify([{ $match: { "ns.coll": { $ne: "two words" } } }]) });
  assert.match(out.out, /Kafka takes no topic of this name.*w7\.two words/);
  await db.collection("plain").insertOne({ n: 2 });

  await using worker = await startWorker({
    source: source.uri,
    target: target.uri,
    kafka: kafka.bootstrap,
    args: ["--topics", "w7.*"],
  });
  await waitFor(
    async () => {
      const counts = await Promise.all(
        ["plain", "üñï"].map((name) => there.db("w7").collection(name).countDocuments()),
      );
      return counts[0] === 2 && counts[1] === 1 ? { done: undefined } : { seen: { counts, log: worker.logTail(5) } };
    },
    { what: "both collections on the target", clock: systemClock, timeoutMs: 30_000 },
  );
  await using client = new KafkaClient({ bootstrap: kafka.bootstrap, clientId: "odd", group: "odd" });
  assert.deepEqual((await client.topics()).filter((topic) => topic.startsWith("w7.")).sort(), [
    "w7.._c3_bc_c3_b1_c3_af",
    "w7.plain",
  ]);
});
