import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { isDeepStrictEqual } from "node:util";
import { Int32 } from "bson";
import { type Document, MongoClient } from "mongodb";
import { DeadLetterStore } from "#apply/deadletter/deadLetterStore.ts";
import type { DeadLetterRecord } from "#apply/deadletter/letterRecords.ts";
import { systemClock } from "#base/flow/clock.ts";
import { waitFor } from "#base/flow/retry.ts";
import { StateDb } from "#io/state/stateDb.ts";
import { booksOf } from "../harness/books.ts";
import { ferry } from "../harness/ferry.ts";
import { removeFolder, tempFolder } from "../harness/folders.ts";
import { type Change, TestTopic } from "../harness/loadTopic.ts";
import { sharedKafka, sharedMongo } from "../harness/servers.ts";
import { startWorker } from "../harness/worker.ts";

const person = (_id: number, email: string, more: Document = {}): Document => ({ _id: new Int32(_id), email, ...more });

/** A target whose unique index the source does not have: 2 clashes with 1, and its later events wait behind it. */
const clashes = (): Change[] => [
  { op: "copy", doc: person(1, "a") },
  { op: "insert", doc: person(2, "a") },
  { op: "update", doc: person(2, "a", { step: 1 }) },
  { op: "insert", doc: person(3, "c") },
  { op: "update", doc: person(2, "b", { step: 2 }) },
];

const open = async (name: string) => {
  const [broker, server] = await Promise.all([sharedKafka(), sharedMongo("target")]);
  const client = await new MongoClient(server.uri).connect();
  const [db = "", coll = ""] = name.split(".");
  const target = client.db(db).collection<Document>(coll);
  await target.createIndex({ email: 1 }, { unique: true, name: "email_unique" });
  const topic = await TestTopic.create(broker.bootstrap, name, 1);
  const options = { target: server.uri, kafka: broker.bootstrap, args: ["--topics", name] };
  return {
    client,
    target,
    topic,
    options,
    kafka: broker.bootstrap,
    dlq: (...args: string[]) => ferry(["dlq", ...args, "--target", server.uri]),
    [Symbol.asyncDispose]: async () => {
      await topic[Symbol.asyncDispose]();
      await client.close();
    },
  };
};

/** The first document is on the target before the others are sent: lanes run apart, and which of two clashes is chance otherwise. */
const sendClashes = async ({ topic, options, client }: Awaited<ReturnType<typeof open>>): Promise<void> => {
  await topic.send(clashes().slice(0, 1));
  {
    await using _first = await startWorker(options);
    await topic.applied(client);
  }
  await topic.send(clashes().slice(1));
};

/** One event a batch, so that only the first one clashes. */
const ONE_BY_ONE = ["--batch-count", "1"];

test("dead letters are listed, shown, exported, replayed in their key's order, and discarded", async () => {
  await using opened = await open("dlq.people");
  const { client, target, topic, options, dlq, kafka } = opened;
  await sendClashes(opened);
  await using _worker = await startWorker({ ...options, args: [...options.args, ...ONE_BY_ONE] });
  await topic.applied(client);

  const route = ["--route", "dlq.people"];
  const listed = JSON.parse((await dlq("list", ...route, "--json")).out) as Document[];
  assert.deepEqual(
    listed.map(({ offset, key, code, serverCode }) => [offset, key, code, serverCode]),
    [
      [1, { _id: 2 }, "FERRY_MONGO_REJECTED", 11000],
      [2, { _id: 2 }, "FERRY_APPLY_BEHIND", null],
      [4, { _id: 2 }, "FERRY_APPLY_BEHIND", null],
    ],
  );
  assert.deepEqual(listed[0]?.["clash"], { index: "email_unique", other: { _id: 1 } });
  assert.equal((JSON.parse((await dlq("list", "--key", "2", "--json")).out) as Document[]).length, 3);
  assert.equal(
    (JSON.parse((await dlq("list", ...route, "--reason", "FERRY_MONGO_REJECTED", "--json")).out) as Document[]).length,
    1,
  );
  assert.match(
    (await dlq("list", ...route)).out,
    /dlq\.people\/0\/1 +2 +FERRY_MONGO_REJECTED +\d× +waiting .*email_unique is that of _id 1/,
  );
  const shown = await dlq("show", "dlq.people/0/1");
  assert.match(shown.out, /"operationType":"insert".*"fullDocument":\{"_id":2,"email":"a"\}/);

  const folder = tempFolder().path;
  const file = join(folder, "letters.jsonl");
  assert.equal((await dlq("export", ...route, "--out", file)).status, 0);
  const lines = readFileSync(file, "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Document);
  removeFolder(folder);
  assert.equal(lines.length, 3);
  assert.ok(Buffer.from(lines[0]?.["raw"], "base64").includes("fullDocument"));

  // The cause is still there: it stays dead, with one more attempt, and what waits behind it waits on.
  const again = await dlq("replay", "dlq.people/0/1");
  assert.equal(again.status, 76);
  assert.match(again.out, /0 replayed\nstill dead: dlq\.people\/0\/1 +FERRY_MONGO_REJECTED: E11000/);
  assert.match((await dlq("list", ...route)).out, /dlq\.people\/0\/1 +2 +FERRY_MONGO_REJECTED +[2-5]× +waiting/);
  const behind = await dlq("replay", "dlq.people/0/4", "--wait-seconds", "2");
  assert.deepEqual([behind.status, /earlier letters of the same key/.test(behind.out)], [75, true]);

  // The clashing insert is given up; what waited behind it changes a document that is not there, so it comes whole.
  await target.updateOne({ _id: 1 as never }, { $set: { email: "z" } });
  const replayed = await dlq("replay", "--key", "2", ...route);
  assert.deepEqual([replayed.status, replayed.out.trim()], [0, "3 replayed"], replayed.err);
  assert.deepEqual(await target.findOne({ _id: 2 as never }), { _id: 2, email: "b", step: 2 });
  await topic.send([{ op: "update", doc: person(2, "b", { step: 3 }) }]);
  await topic.applied(client);
  assert.equal((await target.findOne({ _id: 2 as never }))?.["step"], 3);
  assert.deepEqual(await booksOf(client, kafka, topic.topic), {
    received: 6,
    applied: 6,
    superseded: 0,
    filtered: 0,
    dead: 0,
  });

  await topic.send([{ op: "insert", doc: person(4, "c") }]);
  await topic.applied(client);
  const discarded = await dlq("discard", "dlq.people/0/6");
  assert.deepEqual([discarded.status, discarded.out.trim()], [0, "1 discarded"]);
  assert.match((await dlq("list", ...route)).out, /no dead letters/);
  assert.equal(await target.findOne({ _id: 4 as never }), null);
  assert.equal((await booksOf(client, kafka, topic.topic)).dead, 1); // for good
});

test("a decision that comes while a clash is tried again by the clock is not lost with that try", async () => {
  await using client = await new MongoClient((await sharedMongo("target")).uri).connect();
  const state = new StateDb(client, "ferry_decided");
  await state.prepare();
  const store = new DeadLetterStore(state);
  const where = { route: "r", topic: "r", partition: 0, offset: 0, lane: "r/0", ns: "r.r" };
  const what = {
    identity: null,
    documentKey: null,
    code: "FERRY_MONGO_REJECTED",
    reason: "taken",
    serverCode: 11000,
  } as const;
  await store.add([{ ...where, ...what, recordKey: null, raw: null, logTimeMs: 0 }], undefined);
  const look = async () => (await store.list({ route: "r" }, 1))[0] as DeadLetterRecord;
  const tried = await look();
  const { clash, code, reason, serverCode } = tried;
  await store.decide({ ids: [tried._id] }, "discard");
  await store.again(tried, { clash, code, reason, serverCode });
  assert.deepEqual([(await look()).state, (await look()).attempts], ["discard", tried.attempts + 1]);
  await store.again(await look(), { clash, code, reason, serverCode });
  assert.equal((await look()).state, "waiting");
});

test("thousands of letters are named in commands of a thousand, each once", async () => {
  await using client = await new MongoClient((await sharedMongo("target")).uri).connect();
  const state = new StateDb(client, "ferry_many");
  await state.prepare();
  const store = new DeadLetterStore(state);
  const ids = Array.from({ length: 2100 }, (_, n) => `many/0/${n}`);
  const records = ids.map((_id, offset) => ({ _id, route: "many", partition: 0, offset, state: "waiting" }));
  await client.db("ferry_many").collection<Document & { _id: string }>("deadLetters").insertMany(records);
  const named = await store.list({ ids: [...ids, "many/0/none"] }, 1_000_000);
  assert.deepEqual(new Set(named.map(({ _id }) => _id)), new Set(ids));
  assert.equal(named.length, ids.length);
  assert.equal((await store.list({ ids }, 1000)).length, 1000);
  assert.equal(await store.decide({ ids: ids.slice(1) }, "discard"), ids.length - 1);
  assert.equal(await store.decide({ ids: [] }, "discard"), 0);
  const waiting = (await store.list({ route: "many" }, 1_000_000)).filter(({ state }) => state === "waiting");
  assert.deepEqual(
    waiting.map(({ _id }) => _id),
    ids.slice(0, 1),
  );
});

test("a worker killed in a replay: the next one finishes it, once", async () => {
  await using opened = await open("dlq.killed");
  const { client, target, topic, options, dlq, kafka } = opened;
  await sendClashes(opened);
  {
    await using worker = await startWorker({ ...options, args: [...options.args, ...ONE_BY_ONE] });
    await topic.applied(client);
    await worker.stop();
  }
  await target.deleteOne({ _id: 1 as never });
  const noted = await dlq("replay", "--route", "dlq.killed", "--wait-seconds", "0");
  assert.equal(noted.status, 75);
  assert.match(noted.out, /3 noted and not done yet/);
  for (const point of ["before-commit:1", "after-commit:1", "after-commit:1"]) {
    await using worker = await startWorker({ ...options, env: { FERRY_FAULT: point } });
    assert.equal((await worker.exited).signal, "SIGKILL", worker.logTail(20));
  }
  await using _worker = await startWorker(options);
  await topic.send([{ op: "update", doc: person(2, "b", { step: 3 }) }]);
  await topic.applied(client);
  const left = JSON.parse((await dlq("list", "--route", "dlq.killed", "--json")).out) as Document[];
  assert.deepEqual(left, []);
  assert.deepEqual(await target.findOne({ _id: 2 as never }), { _id: 2, email: "b", step: 3 });
  assert.deepEqual(await booksOf(client, kafka, topic.topic), {
    received: 6,
    applied: 6,
    superseded: 0,
    filtered: 0,
    dead: 0,
  });
});

test("a clash that is only a matter of order is resolved by retries", async () => {
  await using opened = await open("dlq.order");
  const { client, target, topic, options, kafka } = opened;
  // The target still has the value with a document whose change is on its way in another lane, or in another partition.
  await target.insertOne(person(1, "a"));
  await topic.send([
    { op: "insert", doc: person(2, "a") },
    { op: "update", doc: person(2, "a", { step: 1 }) },
  ]);
  await using worker = await startWorker({ ...options, args: [...options.args, "--conflict", "mirror"] });
  await worker.says(/"code":"FERRY_MONGO_REJECTED","msg":"dead letter/);
  await topic.send([{ op: "update", doc: person(1, "b") }]);
  await waitFor(
    async () => {
      const seen = await target.find().sort({ _id: 1 }).toArray();
      return isDeepStrictEqual(seen, [
        { _id: 1, email: "b" },
        { _id: 2, email: "a", step: 1 },
      ])
        ? { done: undefined }
        : { seen };
    },
    { what: "both documents in their last state", clock: systemClock, timeoutMs: 30_000 },
  );
  assert.equal((await booksOf(client, kafka, topic.topic)).dead, 0);
});

test("an invalid command line gives one sentence", async () => {
  await using opened = await open("dlq.usage");
  const { dlq } = opened;
  for (const [args, sentence] of [
    [["replay"], /name the letters/],
    [["replay", "nothing/0/1"], /there is no dead letter nothing\/0\/1/],
    [["list", "--key", "abc"], /--key abc is not extended JSON/],
    [["list", "--limit", "x"], /--limit must be a whole number/],
  ] as const) {
    const refused = await dlq(...args);
    assert.equal(refused.status, 64, refused.err);
    assert.match(refused.err, sentence);
  }
});
