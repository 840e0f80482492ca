import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import type { Document } from "bson";
import { MongoClient } from "mongodb";
import { systemClock } from "#base/flow/clock.ts";
import { type BuildProgress, progressText, withProgress } from "#structure/build/buildProgress.ts";
import type { StructureRecord } from "#structure/model/structureRecords.ts";
import { type FerryRun, ferry } from "../harness/ferry.ts";
import { sharedMongo } from "../harness/servers.ts";
import { furnish, structureOf } from "../harness/structure.ts";

let databases = 0;

/** A database of this test's own on both servers, and ferry's state in one beside it. */
const bench = async (t: TestContext) => {
  const [one, other] = await Promise.all([sharedMongo("source"), sharedMongo("target")]);
  const [source, target] = await Promise.all([
    new MongoClient(one.uri).connect(),
    new MongoClient(other.uri).connect(),
  ]);
  t.after(() => Promise.all([source.close(), target.close()]));
  const db = `s${++databases}`;
  const stateDb = `ferry_${db}`;
  const urls = ["--source", one.uri, "--target", other.uri, "--state-db", stateDb];
  const structure = (command: string, ...args: readonly string[]): Promise<FerryRun> =>
    ferry(["structure", command, ...urls, ...args]);
  const kill = (command: string, fault: string, ...args: readonly string[]): Promise<FerryRun> =>
    ferry(["structure", command, ...urls, ...args], { env: { FERRY_FAULT: fault } });
  const journal = () => target.db(stateDb).collection<StructureRecord>("structure").find().sort({ _id: 1 }).toArray();
  return { source, target, db, stateDb, structure, kill, journal, sourceUri: one.uri, targetUri: other.uri };
};

const ok = ({ status, out, err }: FerryRun): string => {
  assert.equal(status, 0, `${out}${err}`);
  return out;
};

const indexOf = async (client: MongoClient, db: string, coll: string, name: string): Promise<Document | undefined> =>
  (await client.db(db).collection(coll).listIndexes().toArray()).find((index) => index["name"] === name);

test("every kind of collection and index: relaxed while documents arrive, as on the source after finalize", async (t) => {
  const { source, target, db, stateDb, structure, journal, targetUri } = await bench(t);
  await furnish(source, db);
  const planned = ok(await structure("plan", "--include", `${db}.*`));
  assert.match(planned, /creates index email \{ email: 1 \} \(until finalize without unique\)/);
  assert.match(planned, /note +s\d+\.weather: time series: built empty/);
  assert.deepEqual(await target.db(db).listCollections().toArray(), [], "the plan writes nothing");

  ok(await structure("build", "--include", db));
  const built = await structureOf(target, db);
  assert.deepEqual(Object.keys(built).sort(), Object.keys(await structureOf(source, db)).sort());
  assert.match(built["users"] ?? "", /"validationLevel","off"/);
  assert.match(built["users"] ?? "", /"hidden",true/);
  assert.match(
    built["users"] ?? "",
    /"simple"/,
    "an index without collation in a collection with one has none here either",
  );
  for (const relaxed of Object.values(built))
    assert.doesNotMatch(relaxed, /"unique",true.*email|expireAfterSeconds|"capped"/);
  assert.equal(await indexOf(target, db, "texts", "unique_b"), undefined, "its relaxed form would be plain_b");

  // What would be refused or deleted later is welcome now: invalid, duplicate for a moment, long expired.
  const users = target.db(db).collection<Document>("users");
  await users.insertMany([{ email: 5 }, { email: "a" }, { email: "a", seen: new Date(0), nick: "x" }]);
  await users.deleteOne({ email: "a", nick: { $exists: false } });
  assert.match(ok(await structure("plan", "--include", db)), /nothing to do/, "a second plan has nothing left");

  ok(await structure("finalize"));
  assert.deepEqual(await structureOf(target, db), await structureOf(source, db));
  assert.ok((await journal()).every(({ state, held }) => state === "final" && held.length === 0));
  await assert.rejects(users.insertOne({ email: "a" }), { code: 11000 });
  await assert.rejects(users.insertOne({ email: 6 }), { code: 121 });
  ok(await structure("finalize"));
  assert.match(
    ok(await ferry(["structure", "status", "--target", targetUri, "--state-db", stateDb])),
    /^final +s\d+\.users index email/m,
  );
});

test("finalize names duplicates with their values, restores the rest, and resumes when they are fixed", async (t) => {
  const { source, target, db, stateDb, targetUri, structure } = await bench(t);
  await source.db(db).command({
    createIndexes: "c",
    indexes: [
      { key: { a: 1, b: 1 }, name: "ab", unique: true },
      { key: { c: 1 }, name: "c", unique: true, expireAfterSeconds: 500 },
    ],
  });
  ok(await structure("build", "--include", db));
  const c = target.db(db).collection<Document>("c");
  await c.insertMany([
    { _id: 1, a: "x", b: 7, c: 1 },
    { _id: 2, a: "x", b: 7, c: 2 },
    { _id: 3, a: "y", b: 7, c: 3 },
  ] as Document[]);
  const { status, out, err } = await structure("finalize");
  assert.equal(status, 1, err);
  assert.match(out, /2× \{"a":"x","b":7\}: _id 1, 2/);
  assert.match(err, /FERRY_STRUCTURE_INCOMPLETE.*\(ab\): documents have the same values/);
  assert.equal((await indexOf(target, db, "c", "c"))?.["unique"], true);
  assert.equal((await indexOf(target, db, "c", "c"))?.["expireAfterSeconds"], 500);
  await assert.rejects(c.insertOne({ a: "y", b: 7, c: 9 }), { code: 11000 }, "no new duplicates meanwhile");
  await c.deleteOne({ _id: 2 } as Document);
  // The journal is enough: the source need not be there any more.
  ok(await ferry(["structure", "finalize", "--target", targetUri, "--state-db", stateDb]));
  assert.equal((await indexOf(target, db, "c", "ab"))?.["unique"], true);
});

test("killed at each of their steps, build and finalize resume", async (t) => {
  const { source, target, db, structure, kill } = await bench(t);
  await furnish(source, db);
  await source
    .db(db)
    .collection<Document>("events")
    .insertMany(Array.from({ length: 70 }, (_, n) => ({ _id: n })) as Document[]);
  for (const fault of ["structure-noted:1", "structure-built:3", "structure-noted:9", "structure-built:6"])
    assert.equal((await kill("build", fault, "--include", db)).status, null, fault);
  ok(await structure("build", "--include", db));
  // The copy: the capped collection's documents in another order than on the source.
  const events = target.db(db).collection<Document>("events");
  await events.insertMany((await source.db(db).collection("events").find().sort({ _id: -1 }).toArray()) as Document[]);
  for (const fault of ["structure-restored:1", "structure-prepared:1", "structure-prepared:2", "structure-restored:3"])
    assert.equal((await kill("finalize", fault)).status, null, fault);
  ok(await structure("finalize"));
  assert.deepEqual(await structureOf(target, db), await structureOf(source, db));
  const natural = (client: MongoClient) => client.db(db).collection("events").find().hint({ $natural: 1 }).toArray();
  assert.deepEqual(await natural(target), await natural(source), "capped, in the source's order");
});

test("what is impossible is refused with its reason before anything is written", async (t) => {
  const { source, target, db, structure, sourceUri } = await bench(t);
  await source.db(db).createCollection("mine", { collation: { locale: "de" } });
  await source.db(db).createCollection("fine");
  await source.db(db).command({ createIndexes: "fine", indexes: [{ key: { a: 1 }, name: "a", unique: true }] });
  await target.db(db).createCollection("mine", { collation: { locale: "fr" } });
  await target.db(db).command({ createIndexes: "fine", indexes: [{ key: { b: 1 }, name: "a" }] });
  const { status, err } = await structure("build", "--include", db);
  assert.equal(status, 76);
  assert.match(err, /FERRY_STRUCTURE_REFUSED.*\.fine \(a\): the target has an index of this name on \{ b: 1 \}/);
  assert.match(err, /\.mine: the target has this collection with another collation/);
  assert.equal((await structure("plan", "--include", db)).status, 1);

  const nothing = await structure("plan", "--include", `${db}.*,nowhere`);
  assert.match(nothing.err, /FERRY_STRUCTURE_SELECTION.*nowhere/);
  assert.match((await structure("plan")).err, /FERRY_USAGE.*--include/);
  const same = await ferry(["structure", "plan", "--source", sourceUri, "--target", sourceUri, "--include", db]);
  assert.match(same.err, /FERRY_STRUCTURE_SAME/);

  // Emptying is asked for by name, and takes the routes' positions along.
  const partitions = target.db(`ferry_${db}`).collection("partitions");
  await partitions.insertOne({
    route: `${db}.mine`,
    partition: 0,
    owner: "w",
    expiresAt: new Date(Date.now() + 60_000),
  });
  assert.match((await structure("build", "--include", db, "--replace-target")).err, /FERRY_STRUCTURE_BUSY/);
  await partitions.updateOne({}, { $set: { owner: null, expiresAt: null } });
  ok(await structure("build", "--include", db, "--replace-target"));
  assert.equal(await partitions.countDocuments(), 0);
  ok(await structure("finalize"));
  assert.deepEqual(await structureOf(target, db), await structureOf(source, db));
});

test("the progress of a slow index build is reported", async (t) => {
  const { target, db } = await bench(t);
  const collection = target.db(db).collection("large");
  await collection.insertMany(Array.from({ length: 200 }, (_, a) => ({ a })));
  const failPoint = (body: Document): Promise<Document> =>
    target
      .db("admin")
      .command({ configureFailPoint: "hangIndexBuildDuringCollectionScanPhaseAfterInsertion", ...body });
  await failPoint({ mode: "alwaysOn", data: { fieldsToMatch: { a: 120 } } });
  const told: BuildProgress[] = [];
  const released: Promise<Document>[] = [];
  const tell = (progress: BuildProgress): void => {
    told.push(progress);
    released.push(failPoint({ mode: "off" }));
  };
  try {
    await withProgress({ target, clock: systemClock }, { db, coll: "large" }, tell, () =>
      collection.createIndex({ a: 1 }),
    );
  } finally {
    await Promise.all([...released, failPoint({ mode: "off" })]);
  }
  const [first] = told;
  assert.ok(first !== undefined && first.total === 200 && first.done >= 100 && first.done <= 121, JSON.stringify(told));
  assert.match(progressText(first), /^Index Build: scanning collection, 1\d\d of 200 \(\d\d %\)$/);
});
