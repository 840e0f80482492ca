import assert from "node:assert/strict";
import { test } from "node:test";
import { Timestamp } from "bson";
import { MongoClient } from "mongodb";
import { systemClock } from "#base/flow/clock.ts";
import { waitFor } from "#base/flow/retry.ts";
import { StateDb } from "#io/state/stateDb.ts";
import type { Status } from "#process/report/status.ts";
import { ConnectorStore } from "#source/connector/connectorStore.ts";
import { ResumeToken } from "#source/stream/resumeToken.ts";
import { directConverged, startCapture } from "../harness/directRun.ts";
import { ferry } from "../harness/ferry.ts";
import { randomChanges, TestTopic } from "../harness/loadTopic.ts";
import { sharedConnect, sharedKafka, sharedMongo } from "../harness/servers.ts";
import { runWorker, startWorker } from "../harness/worker.ts";

const NAME = "guarded";
const TOPIC = "test.guarded";

test("a gap at the connector halts its topic with a name, while it is open, and a worker started after it continues", async () => {
  const [broker, server, connect] = await Promise.all([sharedKafka(), sharedMongo(), sharedConnect()]);
  await using client = await new MongoClient(server.uri).connect();
  await using topic = await TestTopic.create(broker.bootstrap, TOPIC, 1);
  await topic.send(randomChanges(100, { seed: 1 }));
  const connectors = new ConnectorStore(new StateDb(client, "ferry"));
  const r0 = ResumeToken.stored({ _data: "820000000100000001" });
  const start = {
    state: "streaming",
    kind: "copy",
    topics: [TOPIC],
    partition: "p",
    r0,
    r0At: new Timestamp({ t: 1, i: 1 }),
  } as const;
  await connectors.note(NAME, { ...start, topics: [TOPIC] });
  await connectors.keep(NAME, {
    code: "FERRY_CAPTURE_GAP",
    sentence: "the offset jumped over 7 changes",
    at: new Date(),
    from: r0,
  });
  const options = {
    source: server.uri,
    target: server.uri,
    kafka: broker.bootstrap,
    args: ["--topics", TOPIC, "--connect", connect.url],
  };
  for (const attempt of ["found", "found again before anything more is applied"]) {
    const { code, stderr } = await runWorker(options);
    assert.equal(code, 76, `${attempt}: ${stderr}`);
    assert.match(stderr, /^ferry: FERRY_CAPTURE_GAP: the offset jumped over 7 changes/m);
  }
  const urls = ["--target", server.uri, "--kafka", broker.bootstrap, "--connect", connect.url];
  const halted = await ferry(["status", ...urls]);
  assert.equal(halted.status, 76, halted.err);
  assert.match(halted.out, /^Halted:\n\ntest\.guarded {2}FERRY_CAPTURE_GAP: the offset jumped over 7 changes$/m);
  assert.equal((await connectors.acceptAll(NAME)).length, 1); // ferry cx FILE --accept-gaps, or a cure
  await using _worker = await startWorker(options);
  await topic.equals(client);
  await waitFor(
    async () => {
      const { out } = await ferry(["status", ...urls]);
      const lanes = out.match(
        /^test\.guarded \[0\]\/\d {2}offset 100 {2}lag 0 {2}received [1-9]\d* applied [1-9].* dead 0 +epoch [1-9]\d* +\S+-\d+-\w{4}$/gm,
      );
      const worker = /^\S+-\d+-\w{4} {2}alive +\d+\/s +lag (none|[\d.]+ m?s) +[1-9]\d+ MB +exactly-once$/m.test(out);
      return lanes?.length === 4 && worker && !out.includes("Halted:") ? { done: undefined } : { seen: out };
    },
    { what: "the status to show four lanes and their worker", clock: systemClock, timeoutMs: 20_000 },
  );
});

test("another --source than the one that was captured is asked for no document: its answers would delete changes", async () => {
  const [source, target, broker] = await Promise.all([sharedMongo("source"), sharedMongo("target"), sharedKafka()]);
  await using here = await new MongoClient(source.uri).connect();
  await using there = await new MongoClient(target.uri).connect();
  const users = here.db("other_source").collection<{ _id: number; v: number }>("users");
  await users.insertOne({ _id: 1, v: 1 });
  const urls = { target: target.uri, kafka: broker.bootstrap };
  await using capture = await startCapture({ ...urls, source: source.uri, include: ["other_source.*"] });
  await capture.says("the change stream continues");
  const args = ["--topics", "other_source.users", "--deltas", "look-up"];
  const converged = async (): Promise<void> => {
    await using _worker = await startWorker({ ...urls, source: source.uri, args });
    assert.equal((await directConverged(here, there, "other_source.users")).wrong, 0);
  };
  await converged();
  await users.updateOne({ _id: 1 }, { $set: { v: 2 } }); // its document is not in the same batch: it is asked for
  const updatedBy = Date.now();
  const { code, stderr } = await runWorker({ ...urls, source: target.uri, args });
  assert.equal(code, 64, stderr);
  assert.match(stderr, /^ferry: FERRY_CAPTURE_OTHER: .*--source leads to rs0/m);
  // It waits in Kafka, without a worker: its age counts from when it was made on the source.
  const made = Date.now();
  const { out } = await ferry(["status", "--json", "--target", target.uri, "--kafka", broker.bootstrap]);
  const { lagMs } = JSON.parse(out) as Status;
  assert.ok(lagMs !== null && lagMs >= made - updatedBy - 999 && lagMs < 60_000, `lag ${lagMs}`);
  await converged();
});
