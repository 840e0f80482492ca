import assert from "node:assert/strict";
import { test } from "node:test";
import { BSON, Int32 } from "bson";
import { MongoClient } from "mongodb";
import { systemClock } from "#base/flow/clock.ts";
import { waitFor } from "#base/flow/retry.ts";
import type { DdlRecord } from "#structure/model/structureRecords.ts";
import { compareLive } from "../harness/compare.ts";
import { ferry } from "../harness/ferry.ts";
import { ddlRecord, eventsFrom, randomChanges, TestTopic } from "../harness/loadTopic.ts";
import { sharedKafka, sharedMongo } from "../harness/servers.ts";
import { startWorker } from "../harness/worker.ts";

/** More than one batch of the copy that a rename makes. */
const MANY = 6000;

const YEAR_S = 365 * 86_400;
// The copy that a rename makes waits until the source has come as far as the rename; each event is a second on.
eventsFrom(Math.floor(Date.now() / 1000) - YEAR_S);

/** Two captured collections, both applied; then the first is renamed over the second, on the source and as an event. */
const renamed = async (name: string) => {
  const [broker, one, other] = await Promise.all([sharedKafka(), sharedMongo("source"), sharedMongo("target")]);
  const [source, target] = await Promise.all([
    new MongoClient(one.uri).connect(),
    new MongoClient(other.uri).connect(),
  ]);
  const [from, to] = [`${name}_from`, `${name}_to`];
  const topics = {
    from: await TestTopic.create(broker.bootstrap, `test.${from}`, 2),
    to: await TestTopic.create(broker.bootstrap, `test.${to}`, 2),
  };
  const options = {
    target: other.uri,
    kafka: broker.bootstrap,
    args: ["--topics", `test.${name}_*`, "--deltas", "apply"],
  };
  const db = source.db("test");
  await topics.from.send(randomChanges(200, { seed: 1 }));
  await topics.to.send(randomChanges(200, { seed: 2 }));
  await db
    .collection(to)
    .insertMany(
      Array.from({ length: MANY }, (_, n) => ({ _id: new Int32(n) as never, n: new Int32(n), pad: "x".repeat(50) })),
    );
  const rename = () => {
    const event = ddlRecord("rename", { db: "test", coll: from }, { to: { db: "test", coll: to } });
    return topics.from.sendRaw([{ ...event, partition: 1 }]);
  };
  /** Until the target has what the source has under the new name, and nothing under the old one. */
  const followed = () =>
    waitFor(
      async () => {
        const found = await compareLive(db.collection(to), target.db("test").collection(to));
        const left = await target.db("test").collection(from).countDocuments();
        if (found.wrong === 0 && left === 0) return { done: undefined };
        return { seen: { ...found, left, different: [], missing: [], extra: [] } };
      },
      { what: "the rename to be followed", clock: systemClock, timeoutMs: 60_000, everyMs: 200 },
    );
  const close = async (): Promise<void> => {
    const open = [topics.from, topics.to].map((topic) => topic[Symbol.asyncDispose]());
    await Promise.all([source.close(), target.close(), ...open]);
  };
  return { source: one.uri, db, target, topics, options, rename, followed, to, [Symbol.asyncDispose]: close };
};

test("a worker killed while a renamed collection is copied again: the next one restarts the copy", async () => {
  await using bench = await renamed("ren_killed");
  const { topics, options, source, target } = bench;
  {
    await using worker = await startWorker({ ...options, source, env: { FERRY_FAULT: "mid-rename" } });
    await topics.from.applied(target);
    await topics.to.applied(target);
    await bench.rename();
    assert.equal((await worker.exited).signal, "SIGKILL", worker.logTail(20));
  }
  await using _second = await startWorker({ ...options, source });
  await bench.followed();
  await topics.to.sendRaw([topics.to.record({ op: "insert", doc: { _id: new Int32(-1) } })]);
  await bench.db.collection(bench.to).insertOne({ _id: new Int32(-1) as never });
  await bench.followed();
});

test("a worker frozen in that copy wakes up when another has finished it, and writes nothing", async () => {
  await using bench = await renamed("ren_frozen");
  const { topics, options, source, target } = bench;
  await using frozen = await startWorker({ ...options, source, env: { FERRY_FAULT: "mid-rename:1:stop" } });
  await topics.from.applied(target);
  await topics.to.applied(target);
  await bench.rename();
  await frozen.freezes();
  await using _second = await startWorker({ ...options, source });
  await bench.followed();
  // What the frozen worker has read and not written yet is deleted meanwhile: it must not come back.
  await bench.db.collection(bench.to).deleteMany({});
  const deletes = Array.from({ length: MANY }, (_, n) => topics.to.record({ op: "delete", _id: new Int32(n) }));
  await topics.to.sendRaw(deletes);
  await bench.followed();
  frozen.kill("SIGCONT");
  await frozen.says(/taken over|released after an error|lets go/);
  await bench.followed();
});

test("without the source a rename halts both names, and says why", async () => {
  await using bench = await renamed("ren_alone");
  const { topics, options, target } = bench;
  await using worker = await startWorker(options);
  await topics.from.applied(target);
  await topics.to.applied(target);
  await bench.rename();
  assert.equal((await worker.exited).code, 76, worker.logTail(20));
  const runs = target.db("ferry").collection<{ _id: string; halted?: { code: string; detail: string } }>("runs");
  for (const { topic } of [topics.from, topics.to])
    assert.match(
      (await runs.findOne({ _id: topic }))?.halted?.detail ?? "",
      /rename of test\.ren_alone_from .*: the worker has no --source/,
    );
});

test("BSON that an insert would change is copied by a rename as it is", async () => {
  await using bench = await renamed("ren_odd");
  const { topics, options, source, target, db } = bench;
  const zero = BSON.serialize({ _id: new Int32(-5), t: new BSON.Timestamp({ t: 0, i: 0 }) });
  const zeroes = [{ q: { _id: -5 }, u: [{ $replaceWith: { $literal: BSON.deserialize(zero) } }], upsert: true }];
  await db.command({ update: bench.to, updates: zeroes });
  await using _worker = await startWorker({ ...options, source });
  await topics.from.applied(target);
  await bench.rename();
  await bench.followed();
});

test("a worker killed while it follows a change of structure: the next one finishes it, and the journal says what was done", async () => {
  const [broker, one, other] = await Promise.all([sharedKafka(), sharedMongo("source"), sharedMongo("target")]);
  await using source = await new MongoClient(one.uri).connect();
  await using target = await new MongoClient(other.uri).connect();
  await using topic = await TestTopic.create(broker.bootstrap, "test.followed", 2);
  const db = source.db("test");
  await db.createCollection("followed");
  const built = await ferry([
    "structure",
    "build",
    "--include",
    "test.followed",
    "--source",
    one.uri,
    "--target",
    other.uri,
  ]);
  assert.equal(built.status, 0, built.err);
  const options = { source: one.uri, target: other.uri, kafka: broker.bootstrap, args: ["--topics", "test.followed"] };
  const indexes = () => target.db("test").collection("followed").indexes();
  for (const fault of ["structure-noted", "structure-built"]) {
    await using worker = await startWorker({ ...options, env: { FERRY_FAULT: fault } });
    await topic.applied(target);
    await db.collection("followed").createIndex({ [fault]: 1 }, { unique: true, name: fault });
    const event = ddlRecord("createIndexes", { db: "test", coll: "followed" }, { operationDescription: { fault } });
    await topic.sendRaw([{ ...event, partition: 1 }]);
    assert.equal((await worker.exited).signal, "SIGKILL", worker.logTail(20));
    await using _next = await startWorker(options);
    await topic.applied(target);
    assert.equal((await indexes()).find(({ name }) => name === fault)?.unique, undefined, "relaxed until finalize");
    assert.ok((await indexes()).some(({ name }) => name === fault));
  }
  const journal = target.db("ferry").collection<DdlRecord>("ddl");
  const [first] = await journal.find({ route: "test.followed" }).sort({ _id: 1 }).toArray();
  assert.deepEqual([first?.kind, first?.outcome], ["createIndexes", "applied"]);
});
