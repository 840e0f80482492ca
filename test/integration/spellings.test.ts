import assert from "node:assert/strict";
import { test } from "node:test";
import { BSON, type Collection, Decimal128, type Document, Double, Int32, Long, MongoClient } from "mongodb";
import { settleInserts } from "#apply/pipeline/settleInserts.ts";
import type { Entry } from "#apply/plan/entry.ts";
import { planBatch } from "#apply/plan/plan.ts";
import { MongoSink } from "#sink/mongo/mongoSink.ts";
import { oneOf, seeded } from "#tools/workload/people.ts";
import { directConverged, startCapture } from "../harness/directRun.ts";
import { testSeed } from "../harness/load.ts";
import { type Change, TestTopic } from "../harness/loadTopic.ts";
import { sharedKafka, sharedMongo } from "../harness/servers.ts";
import { runWorker, startWorker } from "../harness/worker.ts";

/** Kafka keys tell spellings of one `_id` apart, and Kafka refuses names that MongoDB takes, some only beside each other. */

const NAMES = ["plain", "üñï", "my orders", "x_y z", "long".repeat(61), "x_y", "x.y"];

const spellings = (i: number, text: boolean): readonly unknown[] => [
  new Int32(i),
  Long.fromNumber(i),
  new Double(i),
  Decimal128.fromString(`${i}.0`),
  { n: new Int32(i) },
  { n: new Double(i) },
  ...(text ? [`key-${i}`, `KEY-${i}`, { k: `a${i}` }, { k: `A${i}` }] : []),
];

const churn = async (collection: Collection<Document>, rounds: number, seed: number, text: boolean): Promise<void> => {
  const random = seeded(seed);
  for (let n = 0; n < rounds; n++) {
    const all = spellings(Math.floor(random() * 10), text);
    await collection.deleteOne({ _id: oneOf(random, all) as never });
    await collection.insertOne({ _id: oneOf(random, all) as never, n }).catch((error: { code?: number }) => {
      if (error.code !== 11000) throw error;
    });
    if (n % 5 === 0) await collection.updateMany({ n: { $gte: n - 5 } }, { $inc: { times: 1 } });
  }
};

test("ferry capture: all spellings of one _id in one partition, and names that Kafka refuses", async () => {
  const [source, target, broker] = [await sharedMongo("source"), await sharedMongo("target"), await sharedKafka()];
  await using here = await new MongoClient(source.uri).connect();
  await using there = await new MongoClient(target.uri).connect();
  const seed = testSeed();
  const db = here.db("w6c");
  const collation = { locale: "en", strength: 2 };
  await db.createCollection("texts", { collation });
  for (const [n, name] of NAMES.entries()) await churn(db.collection(name), 40, seed + n, false);
  await churn(db.collection("texts"), 60, seed, true);
  const urls = { source: source.uri, target: target.uri, kafka: broker.bootstrap };
  await using capture = await startCapture({ ...urls, include: ["w6c.*"], args: ["--partitions", "4"] });
  await using worker = await startWorker({ ...urls, args: ["--topics", "w6c.*"] });
  await capture.says("the change stream continues");
  for (const [n, name] of NAMES.entries()) await churn(db.collection(name), 60, seed + 10 + n, false);
  await churn(db.collection("texts"), 150, seed + 20, true);
  // Born after the start: a name and a collation; and one that gets a collation when it is made again.
  await db.createCollection("später geboren", { collation });
  await churn(db.collection("später geboren"), 100, seed + 21, true);
  await db.collection("plain").drop();
  await db.createCollection("plain", { collation });
  await churn(db.collection("plain"), 100, seed + 22, true);
  for (const name of [...NAMES, "texts", "später geboren"]) {
    const found = await directConverged(here, there, `w6c.${name}`);
    assert.equal(found.wrong, 0, name);
  }
  assert.equal(await there.db("ferry").collection("deadLetters").countDocuments(), 0);
  assert.doesNotMatch(worker.log(), /halted/);
});

const insert = (_id: unknown): Change => ({ op: "insert", doc: { _id, v: 1 } });

type Case = Readonly<{ what: string; partitions: number; ids: readonly unknown[]; collated?: boolean; halts: boolean }>;

const CASES: readonly Case[] = [
  { what: "long only", partitions: 4, ids: [1, 2, 3, 4].map((i) => Long.fromNumber(i)), halts: false },
  { what: "two types", partitions: 4, ids: [new Int32(1), Long.fromNumber(2)], halts: true },
  {
    what: "two exponents",
    partitions: 4,
    ids: ["1.0", "2.0", "3.00", "4.00"].map((d) => Decimal128.fromString(d)),
    halts: true,
  },
  {
    what: "nested",
    partitions: 4,
    ids: [{ n: new Int32(3) }, { n: new Double(6) }, { n: new Double(5) }],
    halts: true,
  },
  { what: "number and text", partitions: 4, ids: [new Int32(1), "1", "a2", "b3"], halts: false },
  { what: "two types in one partition", partitions: 1, ids: [new Int32(1), Long.fromNumber(2)], halts: false },
  { what: "texts", partitions: 4, ids: ["k1", "k2", "k3"], collated: true, halts: true },
  { what: "texts in one partition", partitions: 1, ids: ["k1", "k2", "k3"], collated: true, halts: false },
  { what: "no texts", partitions: 4, ids: [new Int32(1), new Int32(2), new Int32(3)], collated: true, halts: false },
];

test("the connector's topics: a route halts before a second spelling of one _id can be applied, and only then", async () => {
  const [target, broker] = [await sharedMongo("target"), await sharedKafka()];
  await using there = await new MongoClient(target.uri).connect();
  const topics: TestTopic[] = [];
  for (const [n, { partitions, ids, collated }] of CASES.entries()) {
    if (collated === true)
      await there.db("cases").createCollection(`c${n}`, { collation: { locale: "en", strength: 2 } });
    const topic = await TestTopic.create(broker.bootstrap, `cases.c${n}`, partitions);
    topics.push(topic);
    await topic.send(ids.map(insert));
  }
  const urls = { target: target.uri, kafka: broker.bootstrap };
  {
    await using worker = await startWorker({ ...urls, args: ["--topics", "cases.*"] });
    for (const [n, { halts }] of CASES.entries()) if (!halts) await topics[n]?.equals(there);
    for (const [n, { what, halts }] of CASES.entries())
      if (halts)
        await worker.says(new RegExp(`a route is halted: cases.c${n} has `)).catch((error: unknown) => {
          throw new Error(what, { cause: error });
        });
    const runs = await there
      .db("ferry")
      .collection<{ _id: string; halted?: { code: string } }>("runs")
      .find()
      .toArray();
    const halted = runs.filter(({ _id, halted }) => _id.startsWith("cases.") && halted !== undefined);
    assert.deepEqual(
      halted.map(({ _id }) => _id).sort(),
      CASES.flatMap(({ halts }, n) => (halts ? `cases.c${n}` : [])).sort(),
    );
    assert.deepEqual([...new Set(halted.map((run) => run.halted?.code))], ["FERRY_APPLY_SPELLING"]);
  }
  const one = await runWorker({ ...urls, args: ["--topics", "cases.c1"] });
  assert.equal(one.code, 76);
  assert.match(one.stderr, /FERRY_APPLY_SPELLING: .*\n.*ferry capture/);
  await using accepting = await startWorker({
    ...urls,
    args: ["--topics", "cases.c1", "--accept", "FERRY_APPLY_SPELLING"],
  });
  await topics[1]?.equals(there);
  assert.match(accepting.log(), /the halt is lifted/);
  for (const topic of topics) await topic[Symbol.asyncDispose]();
});

test("a look at what is there leaves nothing out that a delete of the same batch takes by another spelling", async () => {
  const target = await sharedMongo("target");
  await using there = await new MongoClient(target.uri).connect();
  const ns = { db: "look", coll: "folded" };
  const folded = await there.db(ns.db).createCollection<{ _id: string }>(ns.coll, {
    collation: { locale: "en", strength: 2 },
  });
  // As a copy has it already that was made behind these events.
  const doc = BSON.serialize({ _id: "key-1", v: 1 });
  await folded.insertOne({ _id: "key-1", v: 1 } as { _id: string });
  const sink = new MongoSink(there, ns);
  const ops = [
    { op: "delete", key: BSON.serialize({ _id: "KEY-1" }) },
    { op: "write", key: BSON.serialize({ _id: "key-1" }), doc, fresh: true },
  ] as const;
  await sink.write(await settleInserts(sink, ops), undefined);
  assert.deepEqual(await folded.find().toArray(), [{ _id: "key-1", v: 1 }]);
});

test("whatever is there of a batch already: a look first gives what the source has, in any spelling", async () => {
  const target = await sharedMongo("target");
  await using there = await new MongoClient(target.uri).connect();
  const ns = { db: "look", coll: "any" };
  const any = await there.db(ns.db).createCollection<{ _id: string; v: number }>(ns.coll, {
    collation: { locale: "en", strength: 2 },
  });
  const sink = new MongoSink(there, ns);
  const random = seeded(testSeed());
  const record = { key: null, value: null, offset: 0, timestampMs: 0 };
  type State = ReadonlyMap<string, Readonly<{ _id: string; v: number }>>;
  let compared = 0;
  for (let round = 0; round < 150; round++) {
    let now: State = new Map();
    const states: State[] = [now];
    const entries: Entry[] = [];
    for (let n = 1; n <= 12; n++) {
      const name = `key-${Math.floor(random() * 3)}`;
      const former = now.get(name);
      const gone = former !== undefined && random() < 0.5;
      const doc = { _id: former?._id ?? oneOf(random, [name, name.toUpperCase()]), v: n };
      now = new Map([...now].filter(([key]) => key !== name));
      if (!gone) now = new Map([...now, [name, doc]]);
      const about = { ns, origin: "stream", at: BigInt(n), key: BSON.serialize({ _id: doc._id }) } as const;
      const event = gone
        ? ({ ...about, op: "delete" } as const)
        : ({ ...about, op: "write", doc: BSON.serialize(doc), fresh: former === undefined } as const);
      entries.push({ record, event, dead: undefined });
      states.push(now);
    }
    // The batch begins anywhere, over what a copy has taken at that time or any later one.
    const from = Math.floor(random() * entries.length);
    const copied = states[from + Math.floor(random() * (states.length - from))] as State;
    await any.deleteMany({});
    if (copied.size > 0) await any.insertMany([...copied.values()]);
    const { ops } = planBatch(entries.slice(from), { writes: "insert", isHeld: () => false });
    try {
      await sink.write(await settleInserts(sink, ops), undefined);
    } catch (error) {
      // An insert that meets another spelling is told from there by the lane, which replaces or creates it again.
      if (sink.refusal(error)?.kind === "exists" || sink.refusal(error)?.kind === "respelled") continue;
      throw error;
    }
    compared++;
    const found = await any.find().sort({ v: 1 }).toArray();
    const wanted = [...(states.at(-1) as State).values()].sort((a, b) => a.v - b.v);
    assert.deepEqual(found, wanted, `round ${round}`);
  }
  assert.ok(compared > 50, `${compared} rounds compared`);
});
