import assert from "node:assert/strict";
import { test } from "node:test";
import { Binary, BSON, type Document, Double, Int32, Long, MongoClient, ObjectId, Timestamp } from "mongodb";
import type { LaneRecord } from "#apply/lanes/laneRecords.ts";
import { identityOf } from "#base/bson/identity.ts";
import { plainSpelling } from "#base/bson/spelling.ts";
import { systemClock } from "#base/flow/clock.ts";
import { waitFor } from "#base/flow/retry.ts";
import type { LogRecord } from "#base/flow/types.ts";
import { KafkaClient } from "#io/kafka/client.ts";
import { homeOf } from "#io/log/places.ts";
import { createDecoder } from "#io/wire/decode.ts";
import { documentKeyOf } from "#io/wire/documentKey.ts";
import { booksOf } from "../harness/books.ts";
import { compare, waitConverged } from "../harness/compare.ts";
import { endCapture, startCapture } from "../harness/directRun.ts";
import { ferry } from "../harness/ferry.ts";
import { tempFolder } from "../harness/folders.ts";
import { fill, startLoad, testSeed } from "../harness/load.ts";
import { sharedConnect, sharedKafka, sharedMongo } from "../harness/servers.ts";
import { structureOf } from "../harness/structure.ts";
import { startWorker } from "../harness/worker.ts";
import { createTopic, recommendedConnector, startConnector } from "../harness/workerConnector.ts";

const PARTITIONS = 4;

/** Every type that an `_id` may have and that a key must tell from its neighbours. */
const ids: readonly unknown[] = [
  new Int32(-1),
  Long.fromNumber(5),
  new Double(2.5),
  new Double(-0),
  Number.NaN,
  BSON.Decimal128.fromString("1.50"),
  "plain",
  'with "quotes" \\ and\nlines\u0001',
  "Grüße, 世界 😀 a\u0301",
  new ObjectId("64b000000000000000000001"),
  new Binary(Buffer.from("0123456789abcdef"), 4),
  new Binary(Buffer.from([1, 2]), 0),
  new Date(0),
  new Date(-5_000_000_000_000),
  { a: new Int32(1), b: "x" },
  { b: "x", a: [1, null] },
  true,
  new Timestamp({ t: 1, i: 2 }),
  new BSON.MinKey(),
  null,
];

type Placed = LogRecord & Readonly<{ partition: number }>;

const readAll = async (bootstrap: string, topic: string): Promise<Placed[]> => {
  await using client = new KafkaClient({ bootstrap, clientId: "contract", group: "contract" });
  const records: Placed[] = [];
  for (const [partition, end] of (await client.offsets(topic, "latest")).entries())
    for (let offset = 0; offset < end; ) {
      const batch = await client.fetch({ topic, partition, offset, maxBytes: 8 * 2 ** 20, maxWaitMs: 200 });
      records.push(...batch.records.map((record) => ({ ...record, partition })));
      offset = batch.end;
    }
  return records;
};

/** What a worker gets to see of a record: everything but the moment of a look-up. */
const seen = (record: Placed) => {
  const { event, token, keyed } = createDecoder()(record);
  assert.ok(event !== undefined);
  const fields = Object.keys(BSON.deserialize(record.value ?? Buffer.alloc(0)));
  const key = record.key === null ? null : Buffer.from(record.key).toString();
  // Of several spellings of an `_id` the plain one says where all of them lie; the connector tells them apart.
  const id = event.op === "write" || event.op === "delete" ? documentKeyOf(event.key) : undefined;
  const plain = id === undefined || Buffer.compare(plainSpelling(id) ?? id, id) === 0;
  const home = id === undefined ? undefined : homeOf(id, PARTITIONS);
  return { partition: record.partition, home, plain, key, keyed, token, fields, origin: event.origin, event };
};

type Seen = ReturnType<typeof seen>;

const copied = (all: readonly Seen[]) => {
  const found = new Map<string, unknown>();
  for (const { partition, plain, key, keyed, fields, origin, event } of all)
    if (origin === "copy" && event.op === "write")
      found.set(identityOf(event.key), {
        partition: plain ? partition : "its own",
        key,
        keyed,
        fields,
        doc: Buffer.from(event.doc).toString("hex"),
      });
  return new Map([...found].sort(([a], [b]) => (a < b ? -1 : 1)));
};

const streamed = (all: readonly Seen[], tokens: ReadonlySet<string>) =>
  Array.from({ length: PARTITIONS }, (_, partition) =>
    all
      .filter(
        (one) => one.plain && one.partition === partition && one.origin === "stream" && tokens.has(one.token ?? ""),
      )
      .map(({ key, keyed, token, fields, event }) => ({ key, keyed, token, fields, ns: event.ns, at: event.at })),
  );

test("records of ferry's own capture are those of the recommended connector, in the same partitions and order", async () => {
  const seed = testSeed();
  const [source, target, broker, connectServer] = [
    await sharedMongo("source"),
    await sharedMongo("target"),
    await sharedKafka(),
    await sharedConnect(),
  ];
  await using client = await new MongoClient(source.uri).connect();
  const users = client.db("test").collection("users");
  await fill(users, 200, seed);
  await users.deleteOne({ _id: 0 as never }); // -0.0 is the same _id to MongoDB
  await users.insertMany(ids.map((_id) => ({ _id: _id as never, x: 1 })));
  await createTopic(broker.bootstrap, "cx.test.users", PARTITIONS);
  await startConnector(connectServer.url, "contract", {
    ...recommendedConnector(source.uri, "test", "users"),
    "topic.prefix": "cx",
  });
  await using capture = await startCapture({
    source: source.uri,
    target: target.uri,
    kafka: broker.bootstrap,
    include: ["test.users"],
    args: ["--state-db", "ferry_contract"],
  });
  await capture.says("copy finished");
  const isStreamed = async (topic: string, n: number): Promise<boolean> =>
    (await readAll(broker.bootstrap, topic))
      .map(seen)
      .some(
        ({ event, origin }) =>
          origin === "stream" && event.op === "write" && BSON.deserialize(event.doc)["probe"] === n,
      );
  const both = (n: number): Promise<void> =>
    waitFor(
      async () => {
        await users.insertOne({ probe: n });
        const there = [await isStreamed("cx.test.users", n), await isStreamed("test.users", n)];
        return there.every(Boolean) ? { done: undefined } : { seen: there };
      },
      { what: `probe ${n} in both topics`, clock: systemClock, timeoutMs: 60_000, everyMs: 500 },
    );
  await both(1);
  const load = startLoad(users, { seed, writers: 10, keys: 300, pauseMs: 10 });
  await waitFor(async () => (load.done() > 1500 ? { done: undefined } : { seen: load.done() }), {
    what: "changes",
    clock: systemClock,
    timeoutMs: 60_000,
  });
  await load.stop();
  await both(2);
  const [theirs, ours] = [
    (await readAll(broker.bootstrap, "cx.test.users")).map(seen),
    (await readAll(broker.bootstrap, "test.users")).map(seen),
  ];
  assert.deepEqual(copied(ours), copied(theirs));
  const tokens = new Set(theirs.flatMap(({ token }) => token ?? []));
  const common = new Set(ours.flatMap(({ token }) => (token !== undefined && tokens.has(token) ? [token] : [])));
  assert.ok(common.size > 1000, `${common.size} events in both`);
  assert.deepEqual(streamed(ours, common), streamed(theirs, common));
  for (const { home, partition } of ours) if (home !== undefined) assert.equal(partition, home);
});

test("a worker applies what ferry's own capture wrote, killed before and after it produced: equal, books balanced", async () => {
  using folder = tempFolder();
  const seed = testSeed();
  const [source, target, broker] = await Promise.all([sharedMongo("source"), sharedMongo("target"), sharedKafka()]);
  await using here = await new MongoClient(source.uri).connect();
  await using there = await new MongoClient(target.uri).connect();
  const coll = here.db("cap").collection<Document>("c");
  await fill(coll, 6000, seed);
  await coll.createIndex({ nowhere: 1 }, { expireAfterSeconds: 1000 });
  const series = await here.db("cap").createCollection("series", { timeseries: { timeField: "t", metaField: "m" } });
  const measure = (from: number): Promise<unknown> =>
    series.insertMany(Array.from({ length: 50 }, (_, n) => ({ t: new Date((from + n) * 1000), m: n % 4, n })));
  await measure(0);
  const options = {
    source: source.uri,
    target: target.uri,
    kafka: broker.bootstrap,
    include: ["cap.c", "cap.series"],
    args: ["--range-documents", "1000", "--spool", "always", "--spool-dir", folder.path],
  };
  const load = startLoad(coll, { seed, writers: 10, keys: 8000, pauseMs: 20 });
  for (const fault of ["after-range:1", "before-produce:2", "after-produce:3"]) {
    await using capture = await startCapture({ ...options, env: { FERRY_FAULT: fault } });
    await capture.says("fault point");
    await capture.exited;
  }
  await using _worker = await startWorker({
    source: source.uri,
    target: target.uri,
    kafka: broker.bootstrap,
    args: ["--topics", "cap.*"],
  });
  {
    await using capture = await startCapture(options);
    await capture.says("copy finished");
    capture.kill("SIGTERM");
    await capture.exited;
  }
  await measure(50);
  await series.deleteMany({ m: 3 });
  for (const fault of ["before-produce:5", "after-produce:7"]) {
    await using capture = await startCapture({ ...options, env: { FERRY_FAULT: fault } });
    await capture.says("fault point");
    await capture.exited;
  }
  await using capture = await startCapture(options);
  await load.stop();
  await waitConverged({ source: here, target: there, kafka: broker.bootstrap, topic: "cap.c" });
  const books = await booksOf(there, broker.bootstrap, "cap.c");
  assert.equal(books.dead, 0);

  const command = async (name: string, ...args: readonly string[]): Promise<string> => {
    const { status, out, err } = await ferry([name, "--target", target.uri, ...args]);
    assert.equal(status, 0, out + err);
    return out;
  };
  assert.match(await command("pause"), /^paused: no capture/);
  const { insertedId } = await coll.insertOne({ n: 1 });
  await measure(1000);
  assert.match(await command("resume"), /^resumed/);
  const ended = command("finalize", "--source", source.uri, "--kafka", broker.bootstrap);
  assert.equal((await capture.exited).code, 0, capture.logTail(20));
  assert.match(await ended, /drained; restoring deferred constraints\nfinalized: /);
  assert.notEqual(await there.db("cap").collection<Document>("c").findOne({ _id: insertedId }), null);
  assert.deepEqual(await structureOf(there, "cap"), await structureOf(here, "cap"));
  const buckets = (client: MongoClient) => client.db("cap").collection("system.buckets.series");
  assert.equal((await compare(buckets(here), buckets(there))).wrong, 0);
  assert.equal(await there.db("cap").collection("series").countDocuments(), await series.countDocuments());
  assert.match(await command("finalize", "--source", source.uri, "--kafka", broker.bootstrap), /^finalized: /);
});

test("finalize with Kafka, capture and command killed at each step: equal, nothing written again; --replace-target starts over", async () => {
  const [source, target, broker] = [await sharedMongo("source"), await sharedMongo("target"), await sharedKafka()];
  await using here = await new MongoClient(source.uri).connect();
  await using there = await new MongoClient(target.uri).connect();
  const [coll, copy] = [here.db("end").collection<Document>("c"), there.db("end").collection<Document>("c")];
  await fill(coll, 500, testSeed());
  await coll.createIndex({ nowhere: 1, _id: 1 }, { unique: true });
  await here.db("end").createCollection("ring", { capped: true, size: 100_000 });
  await here
    .db("end")
    .collection("ring")
    .insertMany([{ n: 1 }, { n: 2 }]);
  const gone = [here, there].map((side) => side.db("end").collection<Document>("gone"));
  await gone[0]?.insertMany([{ n: 1 }, { n: 2 }]);
  const uris = { source: source.uri, target: target.uri, kafka: broker.bootstrap };
  const state = ["--state-db", "ferry_end"];
  const options = { ...uris, include: ["end.*"], args: [...state, "--partitions", "2"] };
  const fromStart = { ...options, args: [...options.args, "--replace-target"] };
  const working = { ...uris, args: [...state, "--topics", "end.*"] };
  const finalize = (fault?: string) =>
    ferry(["finalize", "--source", source.uri, "--target", target.uri, "--kafka", broker.bootstrap, ...state], {
      env: fault === undefined ? {} : { FERRY_FAULT: fault },
    });
  const lanes = async (): Promise<unknown> =>
    (await there.db("ferry_end").collection<LaneRecord>("lanes").find().sort({ _id: 1 }).toArray()).map(
      ({ _id, offset, counts }) => [_id, String(offset), String(counts.received)],
    );
  {
    await using worker = await startWorker(working);
    let ended: ReturnType<typeof finalize>;
    {
      await using capture = await startCapture({ ...options, env: { FERRY_FAULT: "drained" } });
      await capture.says("copy finished");
      await coll.insertOne({ last: 1 });
      ended = finalize("structure-prepared");
      assert.equal((await capture.exited).signal, "SIGKILL", capture.logTail(20));
      assert.match(capture.log(), /fault point drained/);
    }
    const drained: unknown[] = [];
    for (const fault of ["before-finalized", undefined]) {
      const { status, err } = await ended;
      assert.equal(status, null, err);
      assert.match(err, /fault point/);
      drained.push(await lanes());
      ended = finalize(fault);
    }
    const { status, out, err } = await ended;
    assert.equal(status, 0, out + err);
    for (const seen of drained) assert.deepEqual(seen, await lanes(), "nothing is carried behind the drain");
    const { wrong, source: documents } = await compare(coll, copy);
    assert.deepEqual({ wrong, documents }, { wrong: 0, documents: await coll.countDocuments() });
    assert.deepEqual(await structureOf(there, "end"), await structureOf(here, "end"));

    const shown = await ferry(["status", "--target", target.uri, "--kafka", broker.bootstrap, ...state]);
    assert.equal(shown.status, 0, shown.err);
    assert.match(shown.out, /finalized: the run is over/);
    assert.match(shown.out, /topic end\.c \[1\] at offset/);

    const sides = ["--source", source.uri, "--target", target.uri, ...state];
    const build = ferry(["structure", "build", "--include", "end.*", "--replace-target", ...sides]);
    for (const refused of await Promise.all([endCapture(options), build])) {
      assert.equal(refused.status, 64, refused.err);
      assert.match(refused.err, /FERRY_RUN_FINALIZED: .*\n.*--replace-target/);
    }
    const busy = await endCapture(fromStart);
    assert.equal(busy.status, 75, busy.err);
    assert.match(busy.err, /FERRY_STRUCTURE_BUSY/);
    assert.ok((await copy.countDocuments()) > 0, "nothing is dropped before");
    worker.kill("SIGTERM");
    await worker.exited;
  }
  // What was not captured: it must not come back out of the topics' old records.
  await coll.deleteMany({ _id: { $type: "string" } as never });
  for (const one of gone) await one.drop();
  {
    await using capture = await startCapture({ ...fromStart, env: { FERRY_FAULT: "structure-noted" } });
    assert.equal((await capture.exited).signal, "SIGKILL", capture.logTail(20));
  }
  await using _capture = await startCapture(options); // resumes emptying, without the flag
  await using _worker = await startWorker(working);
  await waitConverged({ source: here, target: there, kafka: broker.bootstrap, topic: "end.c", stateDb: "ferry_end" });
  assert.equal(await copy.countDocuments(), await coll.countDocuments());
  // Gone when the new capture began, and made again behind it: neither its old position nor its old records count.
  await gone[0]?.insertOne({ n: 3 });
  await waitConverged({
    source: here,
    target: there,
    kafka: broker.bootstrap,
    topic: "end.gone",
    stateDb: "ferry_end",
  });
  assert.deepEqual(await gone[1]?.distinct("n"), await gone[0]?.distinct("n"));
});
