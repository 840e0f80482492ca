import assert from "node:assert/strict";
import { test } from "node:test";
import { MongoClient } from "mongodb";
import { systemClock } from "#base/flow/clock.ts";
import { booksOf } from "../harness/books.ts";
import { directConverged, startDirect } from "../harness/directRun.ts";
import { fill, startLoad, testSeed } from "../harness/load.ts";
import { randomChanges, TestTopic } from "../harness/loadTopic.ts";
import { mongo, sharedKafka, sharedMongo } from "../harness/servers.ts";
import { type FerryProcess, startWorker } from "../harness/worker.ts";

const STEP_DOWNS = 4;
/** Between two of them, ms: long enough for an election, and for some batches. */
const REST_MS = 2000;
const RUN_DB = "ferry_failover";

/** What went wrong, with what the process that should have done it said last. */
const toldBy = (child: FerryProcess) => (error: Error) => {
  throw new Error(`${error.message}\n${child.logTail(30)}`, { cause: error });
};

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
  const [made] = await Promise.all([TestTopic.create(broker.bootstrap, "test.failover", 2), fill(users, 3000, seed)]);
  await using topic = made;
  await topic.send(randomChanges(1000, { seed }));
  const small = ["--batch-count", "100"];
  await using children = new AsyncDisposableStack();
  const [worker, run] = await Promise.all([
    startWorker({
      target: target.uri,
      kafka: broker.bootstrap,
      args: ["--topics", topic.topic, ...small],
    }).then((child) => children.use(child)),
    startDirect({
      source: source.uri,
      target: target.uri,
      include: ["failover.users"],
      args: ["--state-db", RUN_DB, ...small],
    }).then((child) => children.use(child)),
  ]);
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
  await topic.equals(there).catch(toldBy(worker));
  await directConverged(here, there, "failover.users").catch(toldBy(run));
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
