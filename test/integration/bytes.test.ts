import assert from "node:assert/strict";
import { test } from "node:test";
import { Long, type MongoClient } from "mongodb";
import type { DeadLetterRecord } from "#apply/deadletter/letterRecords.ts";
import type { LaneRecord } from "#apply/lanes/laneRecords.ts";
import { RawValue, rawDocument } from "#base/bson/rawValue.ts";
import { BsonType } from "#base/bson/walk.ts";
import { systemClock } from "#base/flow/clock.ts";
import { waitFor } from "#base/flow/retry.ts";
import { rawDelete, rawInsert, rawUpdate } from "#io/mongo/rawWrites.ts";
import { deleteStatement, modifyStatement } from "#sink/mongo/statements.ts";
import type { StoredCapture } from "#source/capture/captureStore.ts";
import { optionsDocument } from "#structure/model/options.ts";
import { readStructure } from "#structure/model/read.ts";
import { type BothSides, bothSides } from "../harness/bothSides.ts";
import { waitConverged } from "../harness/compare.ts";
import { directConverged, startCapture, startDirect } from "../harness/directRun.ts";
import { ferry } from "../harness/ferry.ts";
import { documentOfParts, double, int32, LATIN1, oddIds, string } from "../harness/oddBytes.ts";
import { sharedConnect, sharedKafka } from "../harness/servers.ts";
import { type FerryProcess, startWorker } from "../harness/worker.ts";
import { createTopic, recommendedConnector, startConnector } from "../harness/workerConnector.ts";

/** Bytes of a server come back to a server as they were: what goes through objects on the way shows here. */

/** Milliseconds, as services number their documents: Int64, of which a position keeps the type apart. */
const FIRST = 1_795_965_874_000;

/** Inserts without a pause until it is stopped. Gives how many. */
const inserting = (here: MongoClient, db: string) => {
  let stopped = false;
  const work = (async () => {
    let n = 0;
    for (; !stopped; n++)
      await here
        .db(db)
        .collection<{ _id: Long }>("rows")
        .insertOne({ _id: Long.fromNumber(FIRST + n) });
    return n;
  })();
  return async (): Promise<number> => {
    stopped = true;
    return work;
  };
};

/** Waits until the saved position is that of an Int64, then kills. */
const killedBehindInt64 = async (both: BothSides, run: FerryProcess, stateDb: string): Promise<void> => {
  const captures = both.there.db(stateDb).collection<StoredCapture>("capture");
  await waitFor(
    async () => {
      const record = await captures.findOne();
      return record?.phase === "stream" && "_typeBits" in record.token ? { done: true } : { seen: record?.token };
    },
    { what: "a saved position with type bits", clock: systemClock, timeoutMs: 30_000, everyMs: 20 },
  );
  run.kill("SIGKILL");
  await run.exited;
};

for (const topology of ["run", "capture"] as const)
  test(`ferry ${topology}: killed after an event of an Int64 _id, it resumes there`, async () => {
    await using both = await bothSides();
    const db = `int64_${topology}`;
    const kafka = topology === "run" ? "" : (await sharedKafka()).bootstrap;
    const options = {
      source: both.source.uri,
      target: both.target.uri,
      include: [`${db}.*`],
      args: ["--state-db", `ferry_${db}`],
      kafka,
    };
    const start = (): Promise<FerryProcess> => (topology === "run" ? startDirect(options) : startCapture(options));
    await both.here.db(db).collection<{ _id: number }>("rows").insertOne({ _id: 0 });
    const stop = inserting(both.here, db);
    {
      await using first = await start();
      await killedBehindInt64(both, first, `ferry_${db}`);
    }
    await stop();
    const captures = both.there.db(`ferry_${db}`).collection<StoredCapture>("capture");
    const before = await captures.findOne();
    await using second = await start();
    if (topology === "run") {
      await directConverged(both.here, both.there, `${db}.rows`);
      return;
    }
    await waitFor(
      async () => {
        assert.doesNotMatch(second.log(), /FERRY_SOURCE_HISTORY_LOST/);
        const token = (await captures.findOne())?.token;
        return token !== undefined && token._data > (before?.token._data ?? "") ? { done: true } : { seen: token };
      },
      { what: "the capture to continue", clock: systemClock, timeoutMs: 30_000, everyMs: 50 },
    );
  });

const call = (client: MongoClient, db: string, coll: string) => ({ db: client.db(db), coll, ordered: true });

const setV = (documentKey: Uint8Array, v: number): Uint8Array =>
  modifyStatement(
    documentKey,
    documentOfParts([BsonType.object, "$set", documentOfParts([BsonType.int32, "v", int32(v)])]),
  );

/** What a server says of a database's collections and indexes, byte for byte but for what is its own. */
const structureBytes = async (client: MongoClient, db: string): Promise<Readonly<Record<string, string>>> => {
  const found: Record<string, string> = {};
  for (const { ns, options, indexes } of (await readStructure(client, { databases: [db], includes: () => true }))
    .collections) {
    const { validationLevel: _, validationAction: __, ...rest } = options;
    found[ns.coll] = Buffer.from(optionsDocument(rest)).toString("latin1");
    for (const { name, key, options } of indexes)
      found[`${ns.coll} ${name}`] = Buffer.from(optionsDocument({ ...options, key })).toString("latin1");
  }
  return found;
};

/** A view, a validator and partial indexes whose bytes no object holds. */
const furnishOddly = async (client: MongoClient, db: string): Promise<void> => {
  const sort = documentOfParts([BsonType.int32, "b", int32(1)], [BsonType.int32, "1", int32(1)]);
  const literal = documentOfParts([BsonType.string, "$literal", string(LATIN1)]);
  const pipeline = new RawValue(
    BsonType.array,
    documentOfParts(
      [BsonType.object, "0", documentOfParts([BsonType.object, "$sort", sort])],
      [BsonType.object, "1", documentOfParts([BsonType.int32, "$limit", int32(1)])],
      [
        BsonType.object,
        "2",
        documentOfParts([
          BsonType.object,
          "$addFields",
          documentOfParts([BsonType.object, "made", literal], [BsonType.double, "zero", double(-0)]),
        ]),
      ],
      [BsonType.object, "3", documentOfParts([BsonType.object, "$lookup", lookupOf("docs")])],
    ),
  );
  const condition = rawDocument(
    documentOfParts(
      [BsonType.object, "b", documentOfParts([BsonType.double, "$gt", double(-0)])],
      [BsonType.string, "1", string(LATIN1)],
      [BsonType.object, "s", documentOfParts([BsonType.int32, "2", int32(1)], [BsonType.int32, "1", int32(2)])],
    ),
  );
  const never = rawDocument(
    documentOfParts([BsonType.object, "never", documentOfParts([BsonType.object, "$ne", condition.bytes])]),
  );
  await client.db(db).command({ create: "first", viewOn: "sorted", pipeline });
  await client.db(db).command({ create: "docs", validator: never });
  const key = rawDocument(documentOfParts([BsonType.int32, "b", int32(1)], [BsonType.int32, "1", int32(-1)]));
  const unique = { name: "unique", key, unique: true, partialFilterExpression: condition };
  await client.db(db).command({ createIndexes: "docs", indexes: [unique] });
  await client.db(db).command({
    insert: "sorted",
    documents: [
      { _id: 1, b: 1, "1": 2 },
      { _id: 2, b: 2, "1": 1 },
    ],
  });
};

const lookupOf = (from: string): Buffer =>
  documentOfParts(
    [BsonType.string, "from", string(from)],
    [BsonType.array, "pipeline", documentOfParts()],
    [BsonType.string, "as", string("docs")],
  );

test("ferry run: odd _ids and odd structure through a killed copy, stream, rename, dead letter, replay and finalize", async () => {
  await using both = await bothSides();
  const [db, stateDb] = ["odd", "ferry_odd"];
  const { here, there } = both;
  await furnishOddly(here, db);
  const keys = oddIds(60);
  await rawInsert(keys, call(here, db, "docs"));
  await rawInsert(keys.slice(0, 40), call(here, db, "extra"));
  const start = {
    source: both.source.uri,
    target: both.target.uri,
    include: [`${db}.*`],
    args: [
      "--state-db",
      stateDb,
      "--copy-order",
      "id",
      "--range-documents",
      "200",
      "--readers",
      "1",
      "--batch-count",
      "50",
    ],
  };
  {
    await using first = await startDirect({ ...start, env: { FERRY_FAULT: "after-checkpoint:1" } });
    await first.says("fault point");
    await first.exited;
  }
  // Under a name of its own, so that the target refuses what the source has.
  const refused = there.db(db).collection("docs");
  await using run = await startDirect(start);
  await run.says("copy finished", 60_000);
  await refused.createIndex({ once: 1 }, { name: "once", unique: true, partialFilterExpression: { once: { $gt: 0 } } });
  await rawUpdate(
    keys.map((one, i) => setV(one, i)),
    call(here, db, "docs"),
  );
  await rawDelete(keys.slice(-40).map(deleteStatement), call(here, db, "docs"));
  await rawInsert(keys.slice(-20), call(here, db, "docs"));
  await directConverged(here, there, `${db}.docs`);

  const [one, other] = [keys[2] as Buffer, keys[10] as Buffer];
  const once = (value: number): Buffer =>
    documentOfParts([BsonType.object, "$set", documentOfParts([BsonType.int32, "once", int32(value)])]);
  await rawUpdate([modifyStatement(one, once(7))], call(here, db, "docs"));
  await directConverged(here, there, `${db}.docs`);
  await rawUpdate([modifyStatement(other, once(7))], call(here, db, "docs"));
  const letters = there.db(stateDb).collection<DeadLetterRecord>("deadLetters");
  const letter = await waitFor(
    async () => {
      const found = await letters.findOne({ serverCode: 11000 });
      return found === null ? { seen: "no letter" } : { done: found };
    },
    { what: "a dead letter", clock: systemClock, timeoutMs: 30_000, everyMs: 100 },
  );
  assert.deepEqual(Buffer.from(letter.documentKey?.buffer ?? []), other);
  assert.equal(letter.clash?.index, "once");
  assert.deepEqual(Buffer.from(letter.clash?.other?.buffer ?? []), one);
  await refused.dropIndex("once");
  const flags = ["--target", both.target.uri, "--state-db", stateDb];
  const replayed = await ferry(["dlq", "replay", "--all", ...flags]);
  assert.equal(replayed.status, 0, replayed.out + replayed.err);
  await directConverged(here, there, `${db}.docs`);

  await here.db(db).collection("extra").drop();
  await here.db(db).collection("docs").rename("moved");
  await directConverged(here, there, `${db}.moved`);
  const finalized = await ferry(["finalize", ...flags, "--source", both.source.uri]);
  assert.equal(finalized.status, 0, finalized.out + finalized.err);
  assert.deepEqual(await structureBytes(there, db), await structureBytes(here, db));
  assert.deepEqual(await letters.countDocuments(), 0);
});

test("ferry structure: every byte of views, validators and partial filters is the source's", async () => {
  await using both = await bothSides();
  const db = "odd_structure";
  await furnishOddly(both.here, db);
  const urls = ["--source", both.source.uri, "--target", both.target.uri, "--state-db", `ferry_${db}`];
  for (const command of ["build", "build", "finalize"]) {
    const { status, out, err } = await ferry(["structure", command, "--include", `${db}.*`, ...urls]);
    assert.equal(status, 0, out + err);
  }
  assert.deepEqual(await structureBytes(both.there, db), await structureBytes(both.here, db));
  await both.there.db(db).command({
    insert: "sorted",
    documents: [
      { _id: 1, b: 1, "1": 2 },
      { _id: 2, b: 2, "1": 1 },
    ],
  });
  const first = (client: MongoClient) => client.db(db).collection("first").find({}, { raw: true }).toArray();
  assert.deepEqual(await first(both.there), await first(both.here));
});

test("a connector without updateLookup: updates of odd _ids are looked up, and none counts as deleted since", async () => {
  await using both = await bothSides();
  const [broker, connect] = await Promise.all([sharedKafka(), sharedConnect()]);
  const [db, topic] = ["odd_kn", "odd_kn.docs"];
  // The connector itself makes U+FFFD of other UTF-8 (docs/20-wire.md).
  const keys = oddIds(20).filter((one) => !one.includes(LATIN1));
  await rawInsert(keys, call(both.here, db, "docs"));
  await createTopic(broker.bootstrap, topic, 1);
  const { "change.stream.full.document": _, ...config } = recommendedConnector(both.source.uri, db, "docs");
  await startConnector(connect.url, db, config);
  const urls = { source: both.source.uri, target: both.target.uri, kafka: broker.bootstrap };
  await using _worker = await startWorker({
    ...urls,
    args: ["--topics", topic, "--accept", "FERRY_CAPTURE_START_UNKNOWN"],
  });
  const whole = { source: both.here, target: both.there, kafka: broker.bootstrap, topic };
  await waitConverged(whole);
  await rawUpdate(
    keys.map((one, i) => setV(one, i)),
    call(both.here, db, "docs"),
  );
  await waitConverged(whole);
  const lanes = await both.there.db("ferry").collection<LaneRecord>("lanes").find({ topic }).toArray();
  assert.ok(
    lanes.every(({ filteredBy = {} }) => !("deleted-since" in filteredBy)),
    JSON.stringify(lanes),
  );
});
