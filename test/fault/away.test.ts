import assert from "node:assert/strict";
import { test } from "node:test";
import type { MongoClient } from "mongodb";
import type { RangeRecord } from "#source/copy/rangeRecord.ts";
import { bothSides } from "../harness/bothSides.ts";
import { type DirectStart, directConverged, endCapture, startDirect } from "../harness/directRun.ts";
import { TcpProxy } from "../harness/proxy.ts";
import { FerryProcess } from "../harness/worker.ts";

/** A port where nothing listens until the test starts something. */
const freePort = async (): Promise<number> => {
  const proxy = await TcpProxy.start(1);
  const { port } = proxy;
  await proxy[Symbol.asyncDispose]();
  return port;
};

const through = (port: number): string => `mongodb://127.0.0.1:${port}/?directConnection=true`;

const fill = (client: MongoClient, coll: string, count: number) =>
  client
    .db("away")
    .collection(coll)
    .insertMany(Array.from({ length: count }, (_, _id) => ({ _id: _id as never, pad: "x".repeat(100) })));

test("servers that are not there yet are waited for, and one that goes away in any phase is", async () => {
  await using both = await bothSides();
  const { here, there, stack, source, target } = both;
  await fill(here, "a", 5000);
  await here.db("away").collection("a").createIndex({ pad: 1 });
  const [sourcePort, targetPort] = [await freePort(), await freePort()];
  const options = {
    source: through(sourcePort),
    target: through(targetPort),
    include: ["away.a"],
    args: ["--state-db", "ferry_away", "--range-documents", "500"],
  };
  await using run = await startDirect(options, "waiting for the source");
  const before = stack.use(await TcpProxy.start(source.port, sourcePort));
  await run.says(/the source is back after \d+ s/);
  await run.says("waiting for the target");
  const behind = stack.use(await TcpProxy.start(target.port, targetPort));
  await run.says(/the target is back after \d+ s/);
  await run.says("start position noted");
  behind.cut(); // structure, the worker's start or the copy
  await run.says(/interrupted while|trying again|waiting for/);
  behind.heal();
  await run.says("copy finished", 60_000);
  before.cut(); // right behind the copy
  await run.says(/"stage":"capture".*trying again|interrupted while/, 60_000);
  await here
    .db("away")
    .collection("a")
    .insertOne({ _id: "later" as never });
  before.heal();
  await directConverged(here, there, "away.a");
  assert.ok(run.isRunning(), run.logTail(20));
});

test("a worker and a capture wait for Kafka, and say so; an unknown host is a mistake", async () => {
  await using both = await bothSides();
  const { source, target } = both;
  await fill(both.here, "k", 1);
  const kafka = `127.0.0.1:${await freePort()}`;
  const captured = {
    source: source.uri,
    target: target.uri,
    kafka,
    include: ["away.k"],
    args: ["--state-db", "ferry_away_k"],
  };
  const flags = ["worker", "--target", target.uri, "--kafka", kafka, "--target-latency-ms", "50"];
  await using worker = new FerryProcess("worker", flags, {}, "waiting for Kafka");
  await worker.start();
  await worker.says(`waiting for Kafka at ${kafka}`);
  await worker.stop();
  assert.equal((await worker.exited).signal, "SIGTERM", worker.logTail(10));
  const sources = ["capture", "--source", captured.source, "--target", captured.target, "--kafka", kafka];
  await using capture = new FerryProcess("capture", [...sources, "--include", "away.k"], {}, "waiting for Kafka");
  await capture.start();
  await capture.says(`waiting for Kafka at ${kafka}`);
  await capture.stop();
  assert.equal((await capture.exited).signal, "SIGTERM", capture.logTail(10));
  const wrong = await endCapture({ ...captured, kafka: "nobody.invalid:9092" });
  assert.equal(wrong.status, 69, wrong.err);
});

test("of two processes that start one run at the same time, one runs it, and the other waits and is refused", async () => {
  await using both = await bothSides();
  const { here, there } = both;
  await fill(here, "twice", 3000);
  const options: DirectStart = {
    source: both.source.uri,
    target: both.target.uri,
    include: ["away.twice"],
    // The one that stands still for a moment must not lose its lease by that.
    args: ["--state-db", "ferry_away_twice", "--range-documents", "200", "--lease-ms", "3000"],
  };
  await using first = await startDirect({ ...options, env: { FERRY_FAULT: "mid-plan:1:stop" } }, "fault point");
  await first.freezes();
  await using second = await startDirect({ ...options, env: { FERRY_FAULT: "after-range:3:stop" } }, "fault point");
  await second.freezes();
  first.kill("SIGCONT");
  await first.says("has the capture's lease: waiting for its end");
  second.kill("SIGCONT");
  const { code } = await first.exited;
  assert.equal(code, 75, first.logTail(10));
  await second.says("copy finished");
  const { source: count } = await directConverged(here, there, "away.twice");
  assert.equal(count, 3001);
  const plans = await there.db("ferry_away_twice").collection<RangeRecord>("copyRanges").distinct("plan");
  assert.equal(plans.length, 1);
});

test("the lease of a process that was killed is waited for, however long it is", async () => {
  await using both = await bothSides();
  await fill(both.here, "leased", 10);
  const options: DirectStart = {
    source: both.source.uri,
    target: both.target.uri,
    include: ["away.leased"],
    args: ["--state-db", "ferry_away_leased"],
  };
  const long = { ...options, args: [...(options.args ?? []), "--lease-ms", "8000"] };
  {
    await using killed = await startDirect(long);
    await killed.says("copy finished");
    killed.kill("SIGKILL");
    await killed.exited;
  }
  await using next = await startDirect(options, "has the capture's lease: waiting for its end");
  await next.says("the lease has ended: continuing");
  await directConverged(both.here, both.there, "away.leased");
});
