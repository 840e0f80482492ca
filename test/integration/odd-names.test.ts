import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { MongoClient } from "mongodb";
import { systemClock } from "#base/flow/clock.ts";
import { waitFor } from "#base/flow/retry.ts";
import { type FerryRun, ferry } from "../harness/ferry.ts";
import { tempFolder } from "../harness/folders.ts";
import { sharedConnect, sharedKafka, sharedMongo } from "../harness/servers.ts";

test("the connector and a name that Kafka refuses: status says which one it is, how to carry it and how to leave it out", async () => {
  const [source, target] = [await sharedMongo("source"), await sharedMongo("target")];
  const [kafka, connect] = [await sharedKafka(), await sharedConnect()];
  await using here = await new MongoClient(source.uri).connect();
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
  const cx = (): Promise<FerryRun> => {
    writeFileSync(file, JSON.stringify({ name: "odd", config }));
    return ferry(["cx", file, ...urls]);
  };
  const status = (wanted: RegExp): Promise<string> =>
    waitFor(
      async () => {
        const { out: stdout } = await ferry(["status", ...urls]);
        return wanted.test(stdout) ? { done: stdout } : { seen: stdout.slice(-1500) };
      },
      { what: `status to say ${wanted}`, clock: systemClock, timeoutMs: 60_000, everyMs: 1000 },
    );
  await db.collection("plain").insertOne({ n: 1 });
  assert.equal((await cx()).status, 0);
  await db.collection("üñï").insertOne({ n: 1 });
  const said = await status(/FERRY_CAPTURE_TOPIC_NAME/);
  assert.match(said, /w7\.üñï/);
  assert.match(said, /topic\.namespace\.map/);
  assert.match(said, /"\$ne":"üñï"/);
  // What is refused because of another topic is named too, with the topic that workers know it by.
  await db.collection("pl_ain").insertOne({ n: 1 });
  await db.collection("pl.ain").insertOne({ n: 1 });
  const beside = await status(/w7\.pl[._]ain/);
  assert.match(beside, /\\"w7\.pl(_ain\\":\\"w7\.\.pl_5fain|\.ain\\":\\"w7\.\.pl_2eain)\\"/);
});
