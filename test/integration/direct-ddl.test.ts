import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { type Collection, type Db, MongoClient } from "mongodb";
import { systemClock } from "#base/flow/clock.ts";
import { waitFor } from "#base/flow/retry.ts";
import { MongoSink } from "#sink/mongo/mongoSink.ts";
import type { DdlRecord } from "#structure/model/structureRecords.ts";
import { compare } from "../harness/compare.ts";
import {
  before,
  beforeDatabases,
  databasesOf,
  databasesSame,
  dropDatabases,
  happen,
  sameAgain,
} from "../harness/ddlScenarios.ts";
import { endDirect, startDirect } from "../harness/directRun.ts";
import { ferry } from "../harness/ferry.ts";
import { tempFolder } from "../harness/folders.ts";
import { sharedMongo } from "../harness/servers.ts";
import { structureOf } from "../harness/structure.ts";
import { beforeSeries, happenToSeries, sameSeries } from "../harness/timeSeries.ts";

/** Several chunks: its cursor is open when it goes. */
const LARGE = 6000;

test("changes of structure while copying and while streaming arrive through ferry run", async () => {
  const [one, other] = await Promise.all([sharedMongo("source"), sharedMongo("target")]);
  await using source = await new MongoClient(one.uri).connect();
  await using target = await new MongoClient(other.uri).connect();
  const db = source.db("shop");
  const urls = ["--source", one.uri, "--target", other.uri];
  const databases = ["shop", ...databasesOf("copy"), ...databasesOf("stream")];
  const structure = async (...args: readonly string[]): Promise<string> => {
    const { status, out, err } = await ferry(["structure", ...args, ...urls]);
    assert.equal(status, 0, out + err);
    return out;
  };
  for (const phase of ["copy", "stream"]) {
    await before(db, phase);
    await beforeDatabases(source, phase);
  }
  await db.collection("copy_big").insertMany(Array.from({ length: LARGE }, (_, n) => ({ n })));

  // Frozen with a cursor in the middle of one collection; some are copied, most are not.
  await using run = await startDirect({
    source: one.uri,
    target: other.uri,
    include: databases.map((name) => `${name}.*`),
    env: { FERRY_FAULT: "mid-range:1:stop" },
  });
  await run.freezes();
  await happen(db, "copy");
  await dropDatabases(source, "copy");
  await db.collection("copy_big").drop();
  run.kill("SIGCONT");

  const plan = () => structure("plan", "--include", "shop");
  await sameAgain(db, target.db("shop"), ["copy"], plan);
  await databasesSame(source, target, "copy");
  await happen(db, "stream");
  await dropDatabases(source, "stream");
  await sameAgain(db, target.db("shop"), ["copy", "stream"], plan);
  await databasesSame(source, target, "stream");
  assert.equal(await target.db("shop").collection("copy_big").countDocuments(), 0);

  const ddl = target.db("ferry").collection<DdlRecord>("ddl");
  const kinds: readonly string[] = await ddl.distinct("kind", { outcome: "applied" });
  for (const kind of ["create", "createIndexes", "drop", "dropDatabase", "dropIndexes", "modify", "rename"])
    assert.ok(kinds.includes(kind), `${kind} is not among ${kinds}`);
  run.kill("SIGTERM");
  await run.exited;
  await structure("finalize");
  for (const name of databases) assert.deepEqual(await structureOf(target, name), await structureOf(source, name));
});

test("time series arrive with their measurements, changed while copying and while streaming, killed in both", async () => {
  const [one, other] = await Promise.all([sharedMongo("source"), sharedMongo("target")]);
  await using source = await new MongoClient(one.uri).connect();
  await using target = await new MongoClient(other.uri).connect();
  const [here, there] = [source.db("metrics"), target.db("metrics")];
  for (const phase of ["copy", "stream"]) await beforeSeries(here, phase);
  const servers = { source: one.uri, target: other.uri };
  const metrics = { ...servers, include: ["metrics.*"], args: ["--state-db", "ferry_metrics"] };
  {
    await using run = await startDirect({ ...metrics, env: { FERRY_FAULT: "after-range:3:stop" } });
    await run.freezes();
    await happenToSeries(here, "copy");
    run.kill("SIGKILL");
    await run.exited;
  }
  {
    await using run = await startDirect(metrics);
    await sameSeries(here, there, "copy");
    const writing = (async () => {
      for (let n = 0; n < 500; n++)
        await here.collection("copy_days").insertOne({ t: new Date(n * 1000), m: { sensor: n % 5 }, temp: n });
    })();
    await happenToSeries(here, "stream");
    run.kill("SIGKILL");
    await Promise.all([writing, run.exited]);
  }
  await using run = await startDirect(metrics);
  await sameSeries(here, there, "stream");
  await sameSeries(here, there, "copy");
  const urls = ["--source", one.uri, "--target", other.uri, "--state-db", "ferry_metrics"];
  run.kill("SIGTERM");
  await run.exited;
  const { status, out, err } = await ferry(["structure", "finalize", ...urls]);
  assert.equal(status, 0, out + err);
  assert.deepEqual(await structureOf(target, "metrics"), await structureOf(source, "metrics"));
});

const sameBuckets = (here: Collection, there: Db, series: string): Promise<void> =>
  waitFor(
    async () => {
      const found = await compare(here, there.collection(`system.buckets.${series}`));
      return found.wrong === 0 && found.source > 0 ? { done: undefined } : { seen: { ...found, different: [] } };
    },
    { what: `${series} to have its measurements`, clock: systemClock, timeoutMs: 30_000 },
  );

test("buckets that came when their time series had gone are dropped alone, and no other incarnation of them is", async () => {
  await using target = await new MongoClient((await sharedMongo("target")).uri).connect();
  const buckets = target.db("late").collection("system.buckets.gone");
  const sink = new MongoSink(target, { db: "late", coll: "system.buckets.gone" });
  await buckets.insertOne({ n: 1 });
  const first = await sink.uuid();
  assert.ok(first !== undefined);
  await sink.drop(first);
  assert.equal(await sink.uuid(), undefined);
  await buckets.insertOne({ n: 2 });
  await sink.drop(first);
  const second = await sink.uuid();
  assert.ok(second !== undefined);

  // The server would drop what has the time series' name.
  const beside = target.db("late").collection("gone");
  await target.db("late").dropCollection("system.buckets.gone");
  await beside.insertOne({ own: 1 });
  await buckets.insertOne({ n: 3 });
  const third = await sink.uuid();
  assert.ok(third !== undefined);
  await assert.rejects(sink.drop(third), { code: "FERRY_STRUCTURE_REFUSED" });
  assert.notEqual(await sink.uuid(), undefined);
  assert.equal((await target.db("late").listCollections({ name: "gone" }).toArray()).length, 1);
});

test("a time series takes the name that a route gives it; rules for its measurements are refused", async () => {
  const [one, other] = await Promise.all([sharedMongo("source"), sharedMongo("target")]);
  await using source = await new MongoClient(one.uri).connect();
  await using target = await new MongoClient(other.uri).connect();
  await beforeSeries(source.db("plant"), "a");
  using folder = tempFolder();
  const config = join(folder.path, "ferry.yaml");
  const args = ["--state-db", "ferry_plant", "--config", config];
  const servers = { source: one.uri, target: other.uri, args };
  writeFileSync(config, "routes: [{ from: plant.a_days, to: { mongodb: works.hours }, fields: { deny: [temp] } }]");
  const refused = await endDirect(servers);
  assert.match(refused.err, /FERRY_STRUCTURE_REFUSED: works\.hours: time series: a route with `fields`/);

  writeFileSync(config, "routes: [{ from: plant.a_days, to: { mongodb: works.hours } }]");
  await using run = await startDirect(servers);
  await source
    .db("plant")
    .collection("a_days")
    .insertOne({ t: new Date(), m: { sensor: 1 }, temp: 1 });
  const [here, there] = [source.db("plant").collection("a_days"), target.db("works").collection("hours")];
  await sameBuckets(source.db("plant").collection("system.buckets.a_days"), target.db("works"), "hours");
  assert.equal(await there.countDocuments(), await here.countDocuments());
  run.kill("SIGTERM");
  await run.exited;
});

test("a source that shows no buckets: said at each start, until one that does is copied once more", async () => {
  const [one, other] = await Promise.all([sharedMongo("source"), sharedMongo("target")]);
  await using source = await new MongoClient(one.uri).connect();
  await using target = await new MongoClient(other.uri).connect();
  const here = source.db("mill");
  await beforeSeries(here, "a");
  const options = {
    source: one.uri,
    target: other.uri,
    include: ["mill.*"],
    args: ["--state-db", "ferry_mill"],
  };
  // What a server says to an option that it does not know; the question is the first aggregate of a run.
  const data = { failCommands: ["aggregate"], errorCode: 40415 };
  await source.db("admin").command({ configureFailPoint: "failCommand", mode: { times: 1 }, data });
  const says = async (sentence: RegExp, args: readonly string[] = []): Promise<void> => {
    await using run = await startDirect({ ...options, args: [...options.args, ...args] });
    if (args.length > 0) await sameBuckets(here.collection("system.buckets.a_days"), target.db("mill"), "a_days");
    await run.says(sentence);
    await run.says("the change stream continues from");
    run.kill("SIGTERM");
    await run.exited;
  };
  await says(/time series \(mill\..*\): MongoDB .* shows their measurements in no change stream/);
  assert.equal(await target.db("mill").collection("a_days").countDocuments(), 0);
  await using resumed = await startDirect(options);
  await resumed.says(/time series \(mill\..*\): this run began without their measurements/);
  resumed.kill("SIGTERM");
  await resumed.exited;
  await says(/copying again from a new start/, ["--recopy"]);
});
