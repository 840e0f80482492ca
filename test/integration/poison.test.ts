import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { Admin } from "@platformatic/kafka";
import { BSON, type Document, Int32 } from "bson";
import { type Binary, MongoClient } from "mongodb";
import type { DeadLetterRecord } from "#apply/deadletter/letterRecords.ts";
import type { RunRecord } from "#apply/lanes/laneRecords.ts";
import { booksOf } from "../harness/books.ts";
import { type Change, eventOf, randomChanges, TestTopic } from "../harness/loadTopic.ts";
import { sharedKafka, sharedMongo } from "../harness/servers.ts";
import { runWorker, startWorker } from "../harness/worker.ts";
import { createTopic } from "../harness/workerConnector.ts";

const open = async (name: string, partitions: number) => {
  const [broker, server] = await Promise.all([sharedKafka(), sharedMongo("target")]);
  const client = await new MongoClient(server.uri).connect();
  const topic = await TestTopic.create(broker.bootstrap, name, partitions);
  const options = { target: server.uri, kafka: broker.bootstrap, args: ["--topics", name] };
  const [db = "", coll = ""] = name.split(".");
  const admin = new Admin({ clientId: "test-admin", bootstrapBrokers: [broker.bootstrap] });
  return {
    client,
    topic,
    options,
    admin,
    kafka: broker.bootstrap,
    target: client.db(db).collection(coll),
    [Symbol.asyncDispose]: async () => {
      await topic[Symbol.asyncDispose]();
      await admin.close();
      await client.close();
    },
  };
};

const lettersOf = (client: MongoClient, topic: string): Promise<DeadLetterRecord[]> =>
  client.db("ferry").collection<DeadLetterRecord>("deadLetters").find({ topic }).sort({ offset: 1 }).toArray();

/** The record's value as it was kept, in one piece or in chunks. */
const rawOf = async (client: MongoClient, letter: DeadLetterRecord): Promise<Buffer> => {
  if (letter.chunks === 0) return Buffer.from(letter.raw?.buffer ?? []);
  const chunks = await client
    .db("ferry")
    .collection<{ data: Binary; n: number }>("deadLetterChunks")
    .find({ letter: letter._id } as Document)
    .sort({ n: 1 })
    .toArray();
  return Buffer.concat(chunks.map(({ data }) => Buffer.from(data.buffer)));
};

/** The most memory that a process has had so far, by the kernel's own account. */
const peakRssMb = (pid: number | undefined): number =>
  Math.ceil(Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1024);

const doc = (id: number, more: Document = {}): Document => ({ _id: new Int32(id), ...more });
const insert = (id: number, more: Document = {}): Change => ({ op: "insert", doc: doc(id, more) });

test("records that hold no event of the topic become dead letters with position, reason and bytes; the lane goes on", async () => {
  const name = "test.poison";
  await using opened = await open(name, 1);
  const { client, topic, options, kafka } = opened;
  const good = eventOf(insert(1), { db: "test", coll: "poison" });
  const garbage = Buffer.alloc(16 * 1024 * 1024, 0xab);
  const poison: readonly (readonly [Buffer, string])[] = [
    [Buffer.from("not BSON, not JSON"), "FERRY_APPLY_POISON"],
    [Buffer.from("{}"), "FERRY_APPLY_POISON"],
    [Buffer.from('{"a": 1'), "FERRY_APPLY_POISON"],
    [Buffer.alloc(0), "FERRY_APPLY_POISON"],
    [good.subarray(0, good.length - 7), "FERRY_APPLY_POISON"],
    [Buffer.from(BSON.serialize({ a: 1 })), "FERRY_APPLY_POISON"],
    [eventOf(insert(9), { db: "test", coll: "others" }), "FERRY_APPLY_NAMESPACE"],
    [garbage, "FERRY_APPLY_POISON"],
  ];
  await topic.send(randomChanges(50, { seed: 1 }));
  for (const [value] of poison) {
    await topic.sendRaw([{ key: Buffer.from('{"_id": 1}'), value }]);
    await topic.send(randomChanges(5, { seed: value.length }));
  }
  await topic.sendRaw([
    { key: Buffer.from('{"_id": 5}'), value: null },
    { key: Buffer.from('{"_data": "8265"}'), value: null },
  ]);
  await using worker = await startWorker(options);
  await topic.equals(client);
  const letters = await lettersOf(client, name);
  assert.deepEqual(
    letters.map(({ code, offset }) => [code, Number(offset)]),
    poison.map(([, code], n) => [code, 50 + 6 * n]),
  );
  for (const [n, letter] of letters.entries()) {
    const wanted = poison[n]?.[0] ?? Buffer.alloc(0);
    assert.equal(Buffer.compare(await rawOf(client, letter), wanted), 0, `bytes of letter ${n}`);
    assert.equal(letter.rawBytes, wanted.length);
    assert.match(letter.reason, /\w+ \w+/);
    assert.ok(!letter.reason.includes("abababab"), "a reason holds no contents");
  }
  const books = await booksOf(client, kafka, name);
  assert.equal(books.dead, poison.length);
  assert.equal(books.filtered, 2, "a tombstone and a heartbeat");
  assert.ok(worker.isRunning());
});

for (const [what, key] of [
  ["keyed by resume tokens", Buffer.from('{"_data": "826B035F31000000012B022C0100296E5A1004"}')],
  ["without keys", null],
] as const) {
  test(`a topic with several partitions ${what} is refused before anything is applied`, async () => {
    const name = `test.keys_${key === null ? "none" : "token"}`;
    await using opened = await open(name, 2);
    const { topic, options, target } = opened;
    const ns = { db: "test", coll: name.slice(5) };
    const records = [0, 1, 2, 3].map((n) => ({ key, value: eventOf(insert(n), ns), partition: n % 2 }));
    await topic.sendRaw(records);
    const { code, stderr } = await runWorker(options);
    assert.equal(code, 76, stderr);
    assert.match(stderr, /^ferry: FERRY_APPLY_KEYS: .*\n {2}.*change\.stream\.document\.key\.as\.key/m);
    assert.equal(await target.countDocuments(), 0);
  });
}

test("what the target refuses becomes a dead letter, later events of its key wait behind it, everything else is applied", async () => {
  const name = "test.refused";
  await using opened = await open(name, 2);
  const { client, topic, options, target, kafka } = opened;
  await target.createIndex({ email: 1 }, { unique: true, sparse: true });
  await client.db("test").command({ collMod: "refused", validator: { age: { $not: { $type: "string" } } } });
  const many = Array.from({ length: 300 }, (_, n) => insert(100 + n, { n: new Int32(n) }));
  await topic.send([...many, insert(2, { email: "a@x" })]);
  const clash = [insert(4, { email: "a@x" })];
  const refused = [insert(6, { age: "old" })];
  await topic.sendRaw([...clash, ...refused].map((change) => topic.record(change)));
  await topic.send(Array.from({ length: 300 }, (_, n) => insert(1000 + n, { n: new Int32(n) })));
  // One lane per partition: with several it is open which of two clashing documents comes first.
  await using _worker = await startWorker({ ...options, args: [...options.args, "--slices", "1"] });
  await topic.applied(client); // within one batch the later event would supersede the refused one, and nothing would be refused
  const behind: Change[] = [
    { op: "update", doc: doc(4, { email: "free@x" }) },
    { op: "delete", _id: new Int32(6) },
  ];
  await topic.sendRaw(behind.map((change) => topic.record(change)));
  await topic.send([insert(8, { email: "b@x" })]);
  await topic.equals(client);
  const letters = await lettersOf(client, name);
  const ids = letters.map(({ documentKey }) => BSON.deserialize(documentKey?.buffer as Uint8Array)["_id"]);
  const seen = letters.map(({ code, serverCode }, n) => [ids[n], code, serverCode]);
  assert.deepEqual(
    seen.sort(([a, c], [b, d]) => Number(a) - Number(b) || String(d).localeCompare(String(c))),
    [
      [4, "FERRY_MONGO_REJECTED", 11000],
      [4, "FERRY_APPLY_BEHIND", null],
      [6, "FERRY_MONGO_REJECTED", 121],
      [6, "FERRY_APPLY_BEHIND", null],
    ],
  );
  assert.equal((await booksOf(client, kafka, name)).dead, 4);
});

test("with --on-error stop the topic halts at the event, for every worker, with its code and status 76", async () => {
  const name = "test.halted";
  await using opened = await open(name, 1);
  const { topic, options, target, client } = opened;
  await target.createIndex({ email: 1 }, { unique: true });
  await topic.sendRaw([insert(1, { email: "x" }), insert(2, { email: "x" }), insert(3)].map((c) => topic.record(c)));
  const first = await runWorker({ ...options, args: [...options.args, "--on-error", "stop", "--slices", "1"] });
  assert.equal(first.code, 76, first.stderr);
  assert.match(
    first.stderr,
    /^ferry: FERRY_APPLY_DEAD_LETTER: (test\.halted is halted since \S+ )?test\.halted \[0\] offset 1: FERRY_MONGO_REJECTED/m,
  );
  assert.equal(await target.countDocuments(), 1, "what was before it is applied, what is behind it is not");
  assert.deepEqual(await lettersOf(client, name), []);
  assert.equal(
    (await client.db("ferry").collection<RunRecord>("runs").findOne({ _id: name }))?.halted?.code,
    "FERRY_APPLY_DEAD_LETTER",
  );
  const second = await runWorker({ ...options, args: [...options.args, "--on-error", "stop", "--slices", "1"] });
  assert.equal(second.code, 76, "the cause is met again at the same position");
  await using _third = await startWorker(options); // the operator decided: to the dead letters with it
  await topic.applied(client);
  assert.equal(await target.countDocuments(), 2);
});

test("a backlog of 15 MB documents in every partition is applied within 512 MB of memory", async () => {
  const name = "test.heavy";
  const count = 40;
  await using opened = await open(name, 4);
  const { topic, options, target, client, kafka } = opened;
  const body = Buffer.alloc(15_000_000);
  for (let id = 0; id < count; id++) {
    body.writeInt32LE(id);
    await topic.sendRaw([topic.record(insert(id, { body }))]);
  }
  await using worker = await startWorker(options);
  await topic.applied(client, 120_000);
  const peakMb = peakRssMb(worker.pid);
  console.log(`peak RSS ${peakMb} MB`);
  const [found] = await target
    .aggregate([{ $group: { _id: null, n: { $sum: 1 }, bytes: { $sum: { $binarySize: "$body" } } } }])
    .toArray();
  assert.deepEqual(found, { _id: null, n: count, bytes: count * body.length });
  const last = await target.findOne({ _id: count - 1 } as Document);
  assert.equal(Buffer.compare(last?.["body"].buffer, body), 0);
  assert.equal((await booksOf(client, kafka, name)).applied, count);
  assert.ok(peakMb <= 512, `${peakMb} MB`);
});

test("a document that grows too large by its delta is set aside alone", async () => {
  const name = "test.large";
  await using opened = await open(name, 1);
  const { topic, options, client } = opened;
  const half = "x".repeat(9 * 1024 * 1024);
  await topic.send([insert(1, { half }), insert(2)]);
  const grows: Change = { op: "patch", _id: new Int32(1), updatedFields: { other: half } };
  await topic.sendRaw([topic.record(grows)]);
  await topic.send([insert(3), { op: "patch", _id: new Int32(2), updatedFields: { small: new Int32(1) } }]);
  await using _worker = await startWorker(options);
  await topic.equals(client);
  const letters = await lettersOf(client, name);
  assert.deepEqual(
    letters.map(({ code, offset }) => [code, Number(offset)]),
    [["FERRY_MONGO_REJECTED", 2]],
  );
});

test("records removed before they were applied are named, not skipped", async () => {
  const name = "test.truncated";
  await using opened = await open(name, 1);
  const { topic, options, admin, target } = opened;
  await topic.send(randomChanges(100, { seed: 7 }));
  await admin.deleteRecords({ topics: [{ name, partitions: [{ partition: 0, offset: 60n }] }] });
  const { code, stderr } = await runWorker(options);
  assert.equal(code, 76, stderr);
  assert.match(stderr, /^ferry: FERRY_LOG_TRUNCATED: test\.truncated \[0\] begins at offset 60, the lanes are at 0/m);
  assert.equal(await target.countDocuments(), 0);
});

test("a topic that was deleted and made again is named, also when it is longer than before", async () => {
  const name = "test.recreated";
  await using opened = await open(name, 1);
  const { topic, options, admin, kafka, client } = opened;
  await topic.send(randomChanges(50, { seed: 8 }));
  {
    await using _worker = await startWorker(options);
    await topic.equals(client);
  }
  await admin.deleteTopics({ topics: [name] });
  await createTopic(kafka, name, 1);
  await using again = await TestTopic.attach(kafka, name, 1);
  await again.send(randomChanges(80, { seed: 9 }));
  const { code, stderr } = await runWorker(options);
  assert.equal(code, 76, stderr);
  assert.match(stderr, /^ferry: FERRY_LOG_RECREATED: /m);
});

test("a second copy halts the run: by its own time, and by copied documents that are there already", async () => {
  const copies = Array.from({ length: 20 }, (_, n): Change => ({ op: "copy", doc: doc(n) }));
  for (const [name, first, second] of [
    ["test.copytime", 1000, 2000],
    ["test.copyagain", undefined, undefined],
  ] as const) {
    await using opened = await open(name, 1);
    const { topic, options } = opened;
    await topic.send(copies, first);
    await topic.send([insert(50)]);
    {
      await using _worker = await startWorker(options);
      await topic.equals(opened.client);
    }
    await topic.send(copies, second);
    const { code, stderr } = await runWorker(options);
    assert.equal(code, 76, stderr);
    assert.match(stderr, /^ferry: FERRY_CAPTURE_COPY_AGAIN: /m);
  }
});

test("a streamed insert over a copied document is no second copy", async () => {
  const name = "test.overlap";
  await using opened = await open(name, 1);
  const { topic, options, client } = opened;
  await topic.send(Array.from({ length: 20 }, (_, n): Change => ({ op: "copy", doc: doc(n) })));
  await using worker = await startWorker(options);
  await topic.equals(client);
  // In one batch with copied ones: only the document that collides may be looked at.
  await topic.send([insert(3, { again: 1 }), { op: "copy", doc: doc(30) }, insert(4), { op: "copy", doc: doc(31) }]);
  await topic.equals(client);
  assert.ok(worker.isRunning(), worker.logTail(5));
});

test("a mistake in what a worker is given is one clear sentence with its own status, at once", async () => {
  const { bootstrap } = await sharedKafka();
  const { uri, port } = await sharedMongo("target");
  const nobody = "mongodb://nobody.invalid:1/";
  const probed = ["--target-latency-ms", "50"]; // a thread of its own, which must not keep the process alive
  const cases = [
    [{ target: nobody, kafka: bootstrap }, 69, /^ferry: FERRY_MONGO_UNREACHABLE: /m],
    [{ target: uri, kafka: "nobody.invalid:1", args: probed }, 69, /^ferry: FERRY_KAFKA_UNREACHABLE: /m],
    [{ target: `mongodb://nobody:hunter2@127.0.0.1:${port}/`, kafka: bootstrap }, 77, /^ferry: FERRY_MONGO_AUTH: /m],
    [{ target: "not a uri", kafka: bootstrap }, 64, /^ferry: FERRY_URI: /m],
  ] as const;
  await Promise.all(
    cases.map(async ([options, status, sentence]) => {
      const { code, stderr } = await runWorker(options);
      assert.equal(code, status, stderr);
      assert.match(stderr, sentence);
      assert.doesNotMatch(stderr, /hunter2|at async|\.ts:\d/);
    }),
  );
});
