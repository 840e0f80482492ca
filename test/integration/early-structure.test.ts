import assert from "node:assert/strict";
import { test } from "node:test";
import { BSON, type Db, type Document, MongoClient } from "mongodb";
import { systemClock } from "#base/flow/clock.ts";
import { waitFor } from "#base/flow/retry.ts";
import { seeded } from "#tools/workload/people.ts";
import { compare } from "../harness/compare.ts";
import { startCapture, startDirect } from "../harness/directRun.ts";
import { beforeEarly, beforeRandom, EARLY, happenEarly, RANDOM, randomStep } from "../harness/earlyStructure.ts";
import { ferry } from "../harness/ferry.ts";
import { sharedKafka, sharedMongo } from "../harness/servers.ts";
import { structureOf } from "../harness/structure.ts";
import { startWorker } from "../harness/worker.ts";

/** Waits for every document to be as on the source. */
const converged = (source: Db, target: Db, colls: readonly string[] = EARLY): Promise<void> =>
  waitFor(
    async () => {
      for (const coll of colls) {
        const { wrong } = await compare(source.collection(coll), target.collection(coll));
        if (wrong > 0) return { seen: `${wrong} wrong in ${coll}` };
      }
      return { done: undefined };
    },
    { what: "documents to be equal on both sides", clock: systemClock, timeoutMs: 30_000 },
  );

/** Waits until the server is at work on an index. */
const building = (db: Db, coll: string, name: string): Promise<void> =>
  waitFor(
    async () => {
      const { cursor } = await db.command({ listIndexes: coll, includeBuildUUIDs: true });
      const found = (cursor.firstBatch as Document[]).find(({ spec }) => spec?.name === name);
      return found === undefined ? { seen: cursor.firstBatch } : { done: undefined };
    },
    { what: `the build of ${name} to have begun`, clock: systemClock, timeoutMs: 20_000 },
  );

/** Waits for the indexes that made way. */
const areBack = (target: Db): Promise<void> =>
  waitFor(
    async () => {
      const missing: string[] = [];
      for (const coll of EARLY) if (!(await target.collection(coll).indexExists("early"))) missing.push(coll);
      return missing.length === 0 ? { done: undefined } : { seen: missing.join() };
    },
    { what: "every index to be back", clock: systemClock, timeoutMs: 30_000 },
  );

/** What was set aside, and why. */
const letters = async (target: MongoClient, stateDb = "ferry"): Promise<string[]> =>
  (await target.db(stateDb).collection("deadLetters").find().toArray()).map((letter) => BSON.EJSON.stringify(letter));

test("an index that comes before the documents it fits refuses none of them, through ferry run", async () => {
  const [one, other] = await Promise.all([sharedMongo("source"), sharedMongo("target")]);
  await using source = await new MongoClient(one.uri).connect();
  await using target = await new MongoClient(other.uri).connect();
  const ok = async (...args: string[]): Promise<string> => {
    const { status, out, err } = await ferry(args);
    assert.equal(status, 0, out + err);
    return out;
  };
  const here = { copy: source.db("early_copy"), stream: source.db("early_stream") };
  const there = { copy: target.db("early_copy"), stream: target.db("early_stream") };
  for (const db of Object.values(here)) await beforeEarly(db);
  const built = here.copy.collection("built");
  const fits = here.copy.collection("fits");
  await built.insertOne({ _id: "both" as never, a: [1, 2], b: [1, 2] });
  await fits.insertOne({ _id: "one" as never, a: 1, b: 1 });

  const include = ["early_copy.*", "early_stream.*"];
  // Each event by itself: in one batch the last state of a document would hide the ones before it.
  const start = { source: one.uri, target: other.uri, include, args: ["--batch-count", "1"] };
  {
    // Killed in the copy: the next process reads a structure that is newer than documents of the stream.
    await using run = await startDirect({ ...start, env: { FERRY_FAULT: "after-range:1:stop" } });
    await run.says("fault point");
    await happenEarly(here.copy);
    run.kill("SIGKILL");
  }
  // Both are being built when the structure is read: one of them will be given up.
  const hang = "hangAfterStartingIndexBuild";
  await source.db("admin").command({ configureFailPoint: hang, mode: "alwaysOn" });
  const givenUp = built.createIndex({ a: 1, b: 1 }, { name: "never" }).catch((error: Error) => error);
  const finished = fits.createIndex({ a: 1, b: 1 }, { name: "later" });
  await building(here.copy, "built", "never");
  await building(here.copy, "fits", "later");
  await using run = await startDirect(start);
  await run.says("copy finished");
  await converged(here.copy, there.copy);
  assert.deepEqual(
    (await there.copy.collection("built").indexes()).map(({ name }) => name),
    ["_id_"],
  );
  await source.db("admin").command({ configureFailPoint: hang, mode: "off" });
  assert.match(String(await givenUp), /parallel arrays/);
  await finished;
  await waitFor(
    async () => ((await there.copy.collection("fits").indexExists("later")) ? { done: 1 } : { seen: "not there" }),
    { what: "a finished index to be followed", clock: systemClock, timeoutMs: 20_000 },
  );

  await ok("pause", "--target", other.uri);
  await happenEarly(here.stream);
  await ok("resume", "--target", other.uri);
  await converged(here.stream, there.stream);
  assert.deepEqual(await letters(target), []);
  for (const db of Object.values(there)) await areBack(db); // their own event lies behind them
  assert.match(run.log(), /is removed for now/);
  await ok("finalize", "--source", one.uri, "--target", other.uri);
  for (const name of ["early_copy", "early_stream"])
    assert.deepEqual(await structureOf(target, name), await structureOf(source, name));
});

test("documents and structure at random, while a run is paused, killed and started again: equal, and nothing is dead", async () => {
  const [one, other] = await Promise.all([sharedMongo("source"), sharedMongo("target")]);
  await using source = await new MongoClient(one.uri).connect();
  await using target = await new MongoClient(other.uri).connect();
  const [here, there] = [source.db("early_random"), target.db("early_random")];
  // One sequence, unless another is asked for: what is new at each run is when the processes meet it.
  const random = seeded(Number(process.env["FERRY_SEED"] ?? 440898236));
  const state = ["--state-db", "ferry_random"];
  const start = {
    source: one.uri,
    target: other.uri,
    include: ["early_random.*"],
    args: [...state, "--batch-count", "1"],
  };
  const steps = async (count: number): Promise<void> => {
    for (let n = 0; n < count; n++) await randomStep(here, random);
  };
  const tell = async (command: string, ...more: string[]): Promise<void> => {
    const { status, out, err } = await ferry([command, "--target", other.uri, ...state, ...more]);
    assert.equal(status, 0, out + err);
  };
  await beforeRandom(here);
  await steps(20);
  for (let turn = 0; turn < 3; turn++) {
    await using run = await startDirect(start);
    await steps(25);
    if (turn === 1) {
      await run.says("partition claimed");
      await tell("pause");
      await steps(40);
      await tell("resume");
    }
    await steps(15);
    run.kill("SIGKILL");
  }
  await steps(30);
  await using run = await startDirect(start);
  await converged(here, there, RANDOM);
  await tell("finalize", "--source", one.uri);
  assert.deepEqual(
    await structureOf(target, "early_random"),
    await structureOf(source, "early_random"),
    run.logTail(40),
  );
  await converged(here, there, RANDOM);
  assert.deepEqual(await letters(target, "ferry_random"), []);
});

test("an index that comes before the documents it fits refuses none of them, through ferry capture and a worker", async () => {
  const [one, other, kafka] = await Promise.all([sharedMongo("source"), sharedMongo("target"), sharedKafka()]);
  await using source = await new MongoClient(one.uri).connect();
  await using target = await new MongoClient(other.uri).connect();
  const [here, there] = [source.db("early_kafka"), target.db("early_kafka")];
  await beforeEarly(here);
  const state = ["--state-db", "ferry_kafka"];
  const sides = { source: one.uri, target: other.uri, kafka: kafka.bootstrap };
  await using _capture = await startCapture({
    ...sides,
    include: ["early_kafka.*"],
    args: [...state, "--partitions", "2"],
  });
  const worker = { ...sides, args: [...state, "--topics", "early_kafka.*", "--batch-count", "1"] };
  {
    await using _worker = await startWorker(worker);
    await converged(here, there);
  }
  await happenEarly(here);
  await using again = await startWorker(worker);
  await converged(here, there);
  await areBack(there);
  assert.match(again.log(), /is removed for now/);
  assert.deepEqual(await letters(target, "ferry_kafka"), []);
});
