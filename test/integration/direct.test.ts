import assert from "node:assert/strict";
import { test } from "node:test";
import { type Document, MongoClient } from "mongodb";
import { directConverged, startDirect } from "../harness/directRun.ts";
import { fill, startLoad, testSeed } from "../harness/load.ts";
import { sharedMongo } from "../harness/servers.ts";

/** Both sides, and clients for them. */
const sides = async () => {
  const [source, target] = [await sharedMongo("source"), await sharedMongo("target")];
  const stack = new AsyncDisposableStack();
  const here = stack.use(await new MongoClient(source.uri).connect());
  const there = stack.use(await new MongoClient(target.uri).connect());
  return { source, target, here, there, [Symbol.asyncDispose]: () => stack.disposeAsync() };
};

test("copies a collection while it is written to, then follows it: equal byte for byte", async () => {
  const seed = testSeed();
  await using both = await sides();
  const users = both.here.db("one").collection("users");
  await fill(users, 5000, seed);
  const load = startLoad(users, { seed, writers: 20, keys: 8000, pauseMs: 20 });
  await using run = await startDirect({
    source: both.source.uri,
    target: both.target.uri,
    include: ["one.users"],
    args: ["--state-db", "ferry_one"],
  });
  await run.says("copy finished");
  await users.insertOne({ _id: "after the copy" } as Document);
  await load.stop();
  const found = await directConverged(both.here, both.there, "one.users");
  assert.ok(found.source > 4000, JSON.stringify(found));
  run.kill("SIGTERM");
  const { signal } = await run.exited;
  assert.equal(signal, "SIGTERM", run.logTail(20));
  const record = await both.there.db("ferry_one").collection("capture").findOne({});
  assert.equal(record?.["phase"], "stream");
  assert.equal(record?.["owner"], null);
});
