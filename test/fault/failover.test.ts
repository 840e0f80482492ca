import assert from "node:assert/strict";
import { test } from "node:test";
import { MongoClient } from "mongodb";
import { systemClock } from "#base/flow/clock.ts";
import { booksOf } from "../harness/books.ts";
import { directConverged, startDirect } from "../harness/directRun.ts";
import { fill, startLoad, testSeed } from "../harness/load.ts";
import { randomChanges, TestTopic } from "../harness/loadTopic.ts";
import { mongo, sharedKafka, sharedMongo } from "../harness/servers.ts";
import { startWorker } from "../harness/worker.ts";

const STEP_DOWNS = 4;
/** Between two of them, ms: long enough for an election, and for some batches. */
const REST_MS = 3000;
const RUN_DB = "ferry_failover";

test("a target of three whose primary steps down again and again, under a worker and under ferry run: nothing is lost, repeated or set aside", async () => {
  const seed = testSeed();
  const [broker, source, server] = await Promise.all([
    sharedKafka(),
    sharedMongo("source"),
    mongo({ name: "three", nodes: 3 }),
  ]);
  await using target = server;
  await using here = await new MongoClient(source.uri).connect();
  await using there = await new MongoClient(target.uri, { writeConcern: { w: "majority" } }).connect();
  const users = here.db("failover").collection("users");
  await fill(users, 3000, seed);
  await using topic = await TestTopic.create(broker.bootstrap, "test.failover", 2);
  await topic.send(randomChanges(1000, { seed }));
  const small = ["--batch-count", "100"];
  await using worker = await startWorker({
    target: target.uri,
    kafka: broker.bootstrap,
    args: ["--topics", topic.topic, ...small],
  });
  await using run = await startDirect({
    source: source.uri,
    target: target.uri,
    include: ["failover.users"],
    args: ["--state-db", RUN_DB, ...small],
  });
  const load = startLoad(users, { seed, writers: 10, keys: 4000, pauseMs: 40 });
  let batch = 0;
  const ending = new AbortController();
  const producing = (async () => {
    while (!ending.signal.aborted) {
      await topic.send(randomChanges(100, { seed: seed + ++batch }));
      await systemClock.sleep(100);
    }
  })();
  try {
    for (let n = 0; n < STEP_DOWNS; n++) {
      await systemClock.sleep(REST_MS);
      await there.db("admin").command({ replSetStepDown: 10, secondaryCatchUpPeriodSecs: 1, force: true });
      await target.primary();
    }
  } finally {
    ending.abort();
    await Promise.all([producing, load.stop()]);
  }
  await topic.equals(there, 120_000);
  await directConverged(here, there, "failover.users", 120_000).catch((error: Error) => {
    throw new Error(`${error.message}\n${run.logTail(30)}`, { cause: error });
  });
  for (const child of [worker, run]) assert.ok(child.isRunning(), child.logTail(20));
  const books = await booksOf(there, broker.bootstrap, topic.topic);
  assert.equal(books.dead, 0);
  assert.equal(await there.db("ferry").collection("deadLetters").countDocuments(), 0);
  assert.equal(await there.db(RUN_DB).collection("deadLetters").countDocuments(), 0);
  assert.equal(
    await there
      .db("ferry")
      .collection("runs")
      .countDocuments({ halted: { $exists: true } }),
    0,
  );
});
