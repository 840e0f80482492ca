import assert from "node:assert/strict";
import { test } from "node:test";
import { BSON, Int32, MongoClient, type Timestamp } from "mongodb";
import { openMongo } from "#io/mongo/connect.ts";
import { readByKeys } from "#io/mongo/rawReads.ts";
import { oneOf, seeded } from "#tools/workload/people.ts";
import { directConverged, endDirect, startCapture, startDirect } from "../harness/directRun.ts";
import { ferry } from "../harness/ferry.ts";
import { testSeed } from "../harness/load.ts";
import { TestTopic } from "../harness/loadTopic.ts";
import { mongo, sharedKafka, sharedMongo } from "../harness/servers.ts";
import { startWorker } from "../harness/worker.ts";

const DOCUMENTS = 50;

/** What a service's URI may say. */
const OPTIONS = [
  "readPreference=secondary&readPreferenceTags=lag:y",
  "readConcernLevel=local",
  "w=0",
  "w=1&journal=false&wtimeoutMS=1",
  "retryWrites=false&retryReads=false",
  "maxPoolSize=1&waitQueueTimeoutMS=10",
  "socketTimeoutMS=50&serverSelectionTimeoutMS=10",
  "compressors=zlib,snappy",
  "appName=shop&heartbeatFrequencyMS=60000",
];

const withOptions = (uri: string, options: readonly string[]): string =>
  options.length === 0 ? uri : `${uri}${uri.includes("?") ? "&" : "/?"}${options.join("&")}`;

/** A source of three members, of which one is tagged `lag:y` and stands still, and a target. */
const laggingSides = async () => {
  const stack = new AsyncDisposableStack();
  const [source, target] = await Promise.all([mongo({ nodes: 3 }), sharedMongo("target")]);
  stack.use(source);
  const here = stack.use(await new MongoClient(source.uri).connect());
  const there = stack.use(await new MongoClient(target.uri).connect());
  const admin = here.db("admin");
  const { config } = await admin.command({ replSetGetConfig: 1 });
  const last = config.members.at(-1);
  Object.assign(last, { tags: { lag: "y" }, priority: 0 });
  await admin.command({ replSetReconfig: { ...config, version: config.version + 1 } });
  const lagging = stack.use(await new MongoClient(`mongodb://${last.host}/?directConnection=true`).connect());
  const stall = (mode: string) => lagging.db("admin").command({ configureFailPoint: "rsSyncApplyStop", mode });
  stack.defer(async () => void (await stall("off")));
  return {
    source,
    target,
    here,
    there,
    lagging,
    stall,
    host: String(last.host),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
};

test("reads are of the newest, and writes are kept, whatever the URIs say and whichever member lags", async () => {
  await using sides = await laggingSides();
  const { source, target, here, there, lagging, stall } = sides;
  const { bootstrap } = await sharedKafka();
  const stale = withOptions(source.uri, [OPTIONS[0] as string]);
  const hasty = withOptions(target.uri, [
    "w=0",
    "readPreference=secondaryPreferred",
    "maxPoolSize=1",
    "waitQueueTimeoutMS=10",
  ]);
  for (const coll of ["items", "carried", "captured"]) {
    const documents = Array.from({ length: DOCUMENTS }, (_, _id) => ({ _id: _id as never, v: new Int32(0) }));
    await here
      .db("lag")
      .collection(coll)
      .insertMany(documents, { writeConcern: { w: 3 } });
  }
  await stall("alwaysOn");

  // ferry run: the copy is of before, the updates come in the stream.
  await using run = await startDirect({
    source: stale,
    target: hasty,
    include: ["lag.carried"],
    args: ["--state-db", "ferry_lag_run"],
  });
  await run.says("copy finished");
  assert.match(run.log(), /the source's URI: readPreference, readPreferenceTags are not followed/);
  assert.match(run.log(), /the target's URI: w, readPreference, maxPoolSize, waitQueueTimeoutMS are not followed/);
  await here
    .db("lag")
    .collection("carried")
    .updateMany({}, { $set: { v: new Int32(1) } });
  await directConverged(here, there, "lag.carried");

  // The connector's path: updates come without their documents, and are looked up.
  await using topic = await TestTopic.create(bootstrap, "lag.items", 1);
  await topic.send(Array.from({ length: DOCUMENTS }, (_, _id) => ({ op: "copy" as const, doc: { _id, v: 0 } })));
  const stream = here.db("lag").collection("items").watch();
  const seen = stream.tryNext(); // opens it
  await seen;
  await here
    .db("lag")
    .collection("items")
    .updateMany({}, { $set: { v: new Int32(1) } });
  const records = [];
  let newest: Timestamp | undefined;
  while (records.length < DOCUMENTS) {
    const event = await stream.next();
    newest = event.clusterTime;
    const key = Buffer.from(
      BSON.EJSON.stringify((event as { documentKey?: object }).documentKey ?? {}, { relaxed: false }),
    );
    records.push({ key, value: Buffer.from(BSON.serialize(event)) });
  }
  await stream.close();
  await topic.sendRaw(records);
  await using worker = await startWorker({
    source: stale,
    target: hasty,
    kafka: bootstrap,
    args: ["--topics", "lag.items"],
  });
  await topic.applied(there);
  assert.equal(await there.db("lag").collection("items").countDocuments({ v: 1 }), DOCUMENTS, worker.logTail(10));

  // ferry capture and a worker.
  const captured = { source: stale, target: hasty, kafka: bootstrap, include: ["lag.captured"] };
  await using capture = await startCapture({ ...captured, args: ["--state-db", "ferry_lag_c"] });
  await capture.says("copy finished");
  await here
    .db("lag")
    .collection("captured")
    .updateMany({}, { $set: { v: new Int32(1) } });
  await using second = await startWorker({
    ...captured,
    args: ["--topics", "lag.captured", "--state-db", "ferry_lag_c"],
  });
  await directConverged(here, there, "lag.captured");
  assert.ok(second.isRunning());

  // A member that is behind waits for the event's time: also where the URI leads to it alone.
  const member = openMongo(`mongodb://${sides.host}/?directConnection=true`, { appName: "test" });
  const key = BSON.serialize({ _id: 1 });
  assert.equal(
    (
      await lagging
        .db("lag")
        .collection("items")
        .findOne({ _id: 1 as never })
    )?.["v"],
    0,
  );
  const found = readByKeys(member, "lag", "items", [key], { from: newest as Timestamp });
  await stall("off");
  assert.equal(BSON.deserialize((await found)[0] as Uint8Array)["v"], 1);
  await member.close();

  // A member that is not the primary is refused, by name.
  const alone = await endDirect({
    source: `mongodb://${sides.host}/?directConnection=true`,
    target: target.uri,
    include: ["lag.items"],
  });
  assert.equal(alone.status, 64, alone.err);
  assert.match(alone.err, /FERRY_MONGO_MEMBER/);

  // Any set of options: check says what is not followed, and what arrives is the same.
  const random = seeded(testSeed());
  for (let round = 0; round < 3; round++) {
    const some = (): string[] => OPTIONS.filter((_, i) => (round === 0 ? i !== 3 : random() < 0.5));
    const uris = {
      source: withOptions(source.uri, some()),
      target: withOptions(
        target.uri,
        [...some(), oneOf(random, ["retryReads=true", "w=2"])].filter(
          (option, _, all) => option !== "w=2" || !all.some((one) => one.startsWith("w=0") || one.startsWith("w=1")),
        ),
      ),
    };
    const said = JSON.stringify(uris);
    const check = await ferry([
      "check",
      "--source",
      uris.source,
      "--target",
      uris.target,
      "--include",
      "lag.carried",
      "--json",
    ]);
    assert.doesNotMatch(check.out, /"level":"fail"/, `${said}\n${check.out}`);
    const coll = `any${round}`;
    await here
      .db("lag")
      .collection(coll)
      .insertMany(Array.from({ length: DOCUMENTS }, (_, _id) => ({ _id: _id as never, v: 0 })));
    await using any = await startDirect({ ...uris, include: [`lag.${coll}`], args: ["--state-db", `ferry_${coll}`] });
    await any.says("copy finished");
    await here
      .db("lag")
      .collection(coll)
      .updateMany({}, { $inc: { v: 1 } });
    const { source: count } = await directConverged(here, there, `lag.${coll}`);
    assert.equal(count, DOCUMENTS + 1, said);
  }
});
