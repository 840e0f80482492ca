import assert from "node:assert/strict";
import { test } from "node:test";
import { MongoClient } from "mongodb";
import { systemClock } from "#base/flow/clock.ts";
import { waitFor } from "#base/flow/retry.ts";
import type { MongoServer } from "#tools/stack/mongod.ts";
import { booksOf } from "../harness/books.ts";
import { directConverged, startDirect } from "../harness/directRun.ts";
import { fill, startLoad, testSeed } from "../harness/load.ts";
import { randomChanges, TestTopic } from "../harness/loadTopic.ts";
import { sharedKafka, sharedMongo } from "../harness/servers.ts";
import { type FerryProcess, startWorker } from "../harness/worker.ts";

const STEP_DOWNS = 4;
/** Between two of them, ms: long enough for an election, and for some batches. */
const REST_MS = 2000;
const RUN_DB = "ferry_failover";

/** What went wrong, with what the process that should have done it said last. */
const toldBy = (child: FerryProcess) => (error: Error) => {
  throw new Error(`${error.message}\n${child.logTail(30)}`, { cause: error });
};

const three = (): Promise<MongoServer> => sharedMongo("three", { nodes: 3 });

const stepDowns = async (client: MongoClient, server: MongoServer): Promise<void> => {
  for (let n = 0; n < STEP_DOWNS; n++) {
    await systemClock.sleep(REST_MS);
    await client.db("admin").command({ replSetStepDown: 10, secondaryCatchUpPeriodSecs: 1, force: true });
    await server.primary();
  }
};

/** Ends every change stream that waits on a server, as its restart does. Returns how many there were. */
const killStreams = async (
  client: MongoClient,
  { db, coll }: Readonly<{ db: string; coll: string }>,
): Promise<number> => {
  const admin = client.db("admin");
  const open = await admin.aggregate([{ $currentOp: { allUsers: true, idleCursors: true } }]).toArray();
  const streams = open.flatMap(({ cursor }) =>
    JSON.stringify(cursor?.originatingCommand ?? "").includes("$changeStream") ? [cursor.cursorId] : [],
  );
  for (const id of streams) await client.db(db).command({ killCursors: coll, cursors: [id] });
  return streams.length;
};

test("a target of three whose primary steps down again and again, under a worker and under ferry run: nothing is lost, repeated or set aside", async () => {
  const seed = testSeed();
  const [broker, source, target] = await Promise.all([sharedKafka(), sharedMongo("source"), three()]);
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
    await stepDowns(there, target);
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

test("a source of three whose primary steps down again and again, and one that forgets its cursors: the stream is opened again", async () => {
  const seed = testSeed();
  const [server, target] = await Promise.all([three(), sharedMongo("source")]);
  await using here = await new MongoClient(server.uri, { writeConcern: { w: "majority" } }).connect();
  await using there = await new MongoClient(target.uri).connect();
  const users = here.db("failover_source").collection("users");
  await fill(users, 3000, seed);
  await using run = await startDirect({
    source: server.uri,
    target: target.uri,
    include: ["failover_source.users"],
    args: ["--state-db", "ferry_failover_source"],
  });
  await run.says("copy finished");
  const load = startLoad(users, { seed, writers: 10, keys: 4000, pauseMs: 40 });
  try {
    await stepDowns(here, server);
    await waitFor(
      async () => {
        const killed = await killStreams(here, { db: "failover_source", coll: "users" });
        return killed > 0 ? { done: undefined } : { seen: run.logTail(5) };
      },
      { what: "a change stream to end", clock: systemClock, timeoutMs: 20_000 },
    );
  } finally {
    await load.stop();
  }
  await directConverged(here, there, "failover_source.users").catch(toldBy(run));
  assert.ok(run.isRunning(), run.logTail(20));
});
