import assert from "node:assert/strict";
import { test } from "node:test";
import { BSON, MongoClient, type Timestamp, UUID } from "mongodb";
import type { CopySource } from "#source/copy/copySource.ts";
import { NaturalReader } from "#source/copy/naturalReader.ts";
import type { RangeRecord } from "#source/copy/rangeRecord.ts";
import { type DirectStart, directConverged, startDirect } from "../harness/directRun.ts";
import { sharedMongo } from "../harness/servers.ts";

const DB = "natural";
const COLL = "users";
/** Several chunks of 2 MB. */
const DOCUMENTS = 30_000;

test("killed in a copy in natural order: resumes after the documents on the target, while the source's process is the same", async () => {
  const [source, target] = await Promise.all([sharedMongo("source"), sharedMongo("target")]);
  await using stack = new AsyncDisposableStack();
  const here = stack.use(await new MongoClient(source.uri).connect());
  const there = stack.use(await new MongoClient(target.uri).connect());
  const users = here.db(DB).collection<{ _id: UUID; i: number; text: string }>(COLL);
  await users.insertMany(Array.from({ length: DOCUMENTS }, (_, i) => ({ _id: new UUID(), i, text: "x".repeat(400) })));
  const stateDb = "ferry_natural";
  const options: DirectStart = {
    source: source.uri,
    target: target.uri,
    include: [`${DB}.${COLL}`],
    args: ["--state-db", stateDb, "--batch-count", "200", "--copy-order", "natural", "--budget-mb", "4"],
  };
  {
    await using run = await startDirect({ ...options, env: { FERRY_FAULT: "after-checkpoint:1" } });
    await run.says("fault point");
    assert.equal((await run.exited).signal, "SIGKILL", run.logTail(20));
  }
  const ranges = there.db(stateDb).collection<RangeRecord>("copyRanges");
  const [range, ...others] = await ranges.find().toArray();
  assert.deepEqual([range?.order, others.length], ["natural", 0]);
  const copied = Number(range?.documents);
  assert.ok(copied > 0 && copied < DOCUMENTS, `${copied} documents when it was killed`);
  await users.insertOne({ _id: new UUID(), i: -1, text: "later" });
  {
    await using run = await startDirect(options);
    await run.says("copy finished");
    await directConverged(here, there, `${DB}.${COLL}`);
  }
  const all = Number((await ranges.findOne())?.documents);
  assert.ok(all === DOCUMENTS || all === DOCUMENTS + 1, `${all} documents were copied in both runs together`);
});

test("a position in natural order is not valid in another process, or without its record: the scan restarts", async () => {
  const server = await sharedMongo("source");
  await using stack = new AsyncDisposableStack();
  const client = stack.use(await new MongoClient(server.uri).connect());
  const ns = { db: DB, coll: "positions" };
  const collection = client.db(DB).collection<{ _id: UUID; i: number; text: string }>(ns.coll);
  await collection.insertMany(
    Array.from({ length: 12_000 }, (_, i) => ({ _id: new UUID(), i, text: "x".repeat(200) })),
  );
  const { operationTime } = (await client.db("admin").command({ ping: 1 })) as { operationTime: Timestamp };
  const source: CopySource = {
    readPreference: "primary",
    pace: undefined,
    answer: <T>(reply: Promise<T>): Promise<T> => reply,
    client: async () => client,
  };
  const firstBehind = async (after: Uint8Array | undefined) => {
    await using reader = await NaturalReader.open(source, ns, { after, at: operationTime.toBigInt() }, 200);
    const { documents, last } = await reader.next();
    return { i: BSON.deserialize(documents[0] ?? BSON.serialize({}))["i"], count: documents.length, last };
  };
  const begun = await firstBehind(undefined);
  assert.equal(begun.i, 0);
  assert.ok(begun.last !== undefined);
  assert.equal((await firstBehind(begun.last)).i, begun.count, "it resumes after the position");
  const foreign = { ...BSON.deserialize(begun.last, { promoteValues: false }), process: "another" };
  assert.equal((await firstBehind(BSON.serialize(foreign))).i, 0, "numbers of another process");
  await collection.deleteOne({ i: begun.count - 1 });
  assert.equal((await firstBehind(begun.last)).i, 0, "the record is gone");
});
