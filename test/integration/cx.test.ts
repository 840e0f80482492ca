import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { isFerry } from "#base/errors/ferryError.ts";
import { systemClock } from "#base/flow/clock.ts";
import { waitFor } from "#base/flow/retry.ts";
import { StateDb } from "#io/state/stateDb.ts";
import { requireKnownKeys } from "#source/connector/connectorKeys.ts";
import { offsetState } from "#source/connector/connectorOffsets.ts";
import { type ConnectorRecord, ConnectorStore, type StartState } from "#source/connector/connectorStore.ts";
import { startConnector } from "#source/connector/gapFreeStart.ts";
import { awaitRunning, awaitStopped } from "#source/connector/startWaits.ts";
import { CaptureBench, recommended, request } from "../harness/capture.ts";
import { type FerryRun, ferry } from "../harness/ferry.ts";
import { compareDocuments, EQUAL, fold, readTopic } from "../harness/fold.ts";
import { tempFolder } from "../harness/folders.ts";
import { TcpProxy } from "../harness/proxy.ts";
import { sharedConnect, sharedKafka, sharedMongo } from "../harness/servers.ts";

const bench = async (): Promise<CaptureBench> => {
  const [source, target] = await Promise.all([sharedMongo("source"), sharedMongo("target")]);
  const [kafka, connect] = await Promise.all([sharedKafka(), sharedConnect()]);
  return CaptureBench.open({
    source: source.uri,
    target: target.uri,
    bootstrap: kafka.bootstrap,
    connect: connect.url,
  });
};

const people = (n: number): { _id: number; firstname: string; age: number }[] =>
  Array.from({ length: n }, (_, _id) => ({ _id, firstname: `name${_id}`, age: 20 + (_id % 50) }));

/** A source behind a proxy that holds every `$changeStream` back long enough to write in between. */
const delayedSource = async (): Promise<{ proxy: TcpProxy; uri: string; copying: () => boolean }> => {
  const source = await sharedMongo("source");
  const proxy = await TcpProxy.start(Number(new URL(source.uri).port));
  let copying = false;
  proxy.delayWhen((bytes) => {
    copying ||= bytes.includes("copyingData");
    return bytes.includes("$changeStream");
  }, 1000);
  return { proxy, uri: `mongodb://127.0.0.1:${proxy.port}/?readConcernLevel=majority`, copying: () => copying };
};

/** Writes after the copy's read and before the stream is open: an update, a delete and an insert. */
const writeInBetween = async (b: CaptureBench, db: string, copying: () => boolean, proxy: TcpProxy): Promise<void> => {
  await waitFor(async () => (copying() && proxy.delayed > 0 ? { done: true } : { seen: `delayed ${proxy.delayed}` }), {
    what: "the copy's read, with the stream withheld",
    clock: systemClock,
    timeoutMs: 30_000,
    everyMs: 10,
  });
  const users = b.source.db(db).collection<{ _id: number }>("users");
  await users.updateOne({ _id: 1 }, { $set: { firstname: "changed in between" } });
  await users.deleteOne({ _id: 2 });
  await users.insertOne({ _id: 1000 });
};

test("writes between copy and stream are lost by the posted file alone, and kept by the default", async () => {
  await using b = await bench();
  for (const [db, gapFree] of [
    ["gap_plain", false],
    ["gap_default", true],
  ] as const) {
    await b.source.db(db).collection<{ _id: number }>("users").insertMany(people(60));
    const { proxy, uri, copying } = await delayedSource();
    await using _ = proxy;
    const config = recommended(uri, db, "users");
    const started = gapFree
      ? startConnector(request(db, config), b.deps)
      : b.deps.rest.putConfig(db, config).then(() => awaitRunning(db, b.deps));
    await Promise.all([started, writeInBetween(b, db, copying, proxy)]);
    const { documents } = await b.foldToNow(db, "users");
    const difference = compareDocuments(await b.documents(db, "users"), documents);
    assert.deepEqual(difference, gapFree ? EQUAL : { missing: 1, extra: 1, different: 1 });
    await b.deps.rest.remove(db);
  }
});

/** A copy slow enough to be interrupted: one record per request, each acknowledged before the next. */
const SLOW = {
  "producer.override.batch.size": "0",
  "producer.override.linger.ms": "0",
  "producer.override.max.in.flight.requests.per.connection": "1",
  "poll.max.batch.size": "50",
  "startup.mode.copy.existing.queue.size": "50",
};

test("a copy that Connect's crash restarts leaves deleted documents behind by the posted file alone, and none by the default", async () => {
  await using b = await bench();
  const connect = await sharedConnect();
  const dbs = ["crash_plain", "crash_default"] as const;
  for (const db of dbs) await b.source.db(db).collection<{ _id: number }>("users").insertMany(people(8000));
  const [plain, standard] = dbs.map((db) => recommended(sourceUri(b), db, "users", SLOW));
  assert(plain !== undefined && standard !== undefined);
  await b.deps.rest.putConfig("crash_plain", plain);
  const started = startConnector(request("crash_default", standard), b.deps);
  for (const db of dbs) await recordsIn(b, `${db}.users`, 1000);
  await connect.crash();
  for (const db of dbs)
    await b.source
      .db(db)
      .collection<{ _id: number }>("users")
      .deleteMany({ _id: { $lt: 50 } });
  await connect.start();
  await started;
  const found = [];
  for (const db of dbs) {
    const folded = await b.foldToNow(db, "users");
    assert.equal(folded.copyTimes.length, 2, `${db} was copied twice`);
    found.push(compareDocuments(await b.documents(db, "users"), folded.documents));
    await b.deps.rest.remove(db);
  }
  assert.deepEqual(found, [{ missing: 0, extra: 50, different: 0 }, EQUAL]);
});

test("a broker that crashes in mid-copy is waited for by cx: nothing is missing, and no deleted document stays", async () => {
  await using b = await bench();
  using folder = tempFolder();
  const [broker, target, connect] = await Promise.all([sharedKafka(), sharedMongo("target"), sharedConnect()]);
  const db = "broker";
  const users = b.source.db(db).collection<{ _id: number }>("users");
  await users.insertMany(people(8000));
  const file = join(folder.path, "broker.json");
  writeFileSync(file, JSON.stringify({ name: db, config: recommended(sourceUri(b), db, "users", SLOW) }));
  const urls = ["--target", target.uri, "--kafka", broker.bootstrap, "--connect", connect.url];
  const cx = ferry(["cx", file, ...urls]);
  await recordsIn(b, `${db}.users`, 1000);
  await broker.crash();
  await users.deleteMany({ _id: { $lt: 50 } });
  await broker.start();
  const { status, out, err } = await cx;
  assert.equal(status, 0, err);
  assert.match(out, /broker is RUNNING: everything since the noted position/);
  const folded = await b.foldToNow(db, "users");
  assert.ok(folded.copied >= 7950, `${folded.copied} copied`);
  assert.deepEqual(compareDocuments(await b.documents(db, "users"), folded.documents), EQUAL);
  await b.deps.rest.remove(db);
});

const sourceUri = (b: CaptureBench): string => `mongodb://${String(b.source.options.hosts[0])}`;

const recordsIn = (b: CaptureBench, topic: string, atLeast: number): Promise<number> =>
  waitFor(
    async () => {
      const exists = (await b.deps.kafka.topics()).includes(topic);
      const [end = 0] = exists ? await b.deps.kafka.offsets(topic, "latest") : [];
      return end >= atLeast ? { done: end } : { seen: `${end} records` };
    },
    { what: `${atLeast} records in ${topic}`, clock: systemClock, timeoutMs: 60_000, everyMs: 20 },
  );

class Killed extends Error {}

/** A store whose process dies when a step is done and its state not yet written. */
class DyingStore extends ConnectorStore {
  readonly #at: StartState;
  constructor(b: CaptureBench, at: StartState) {
    super(new StateDb(b.target, "ferry"));
    this.#at = at;
  }
  override async advance(
    name: string,
    from: StartState,
    to: StartState,
    more: Partial<ConnectorRecord> = {},
  ): Promise<ConnectorRecord> {
    if (to === this.#at) throw new Killed();
    return super.advance(name, from, to, more);
  }
}

test("a start that is killed at any step goes on when it is run again", async () => {
  await using b = await bench();
  const db = "killed";
  await b.source.db(db).collection<{ _id: number }>("users").insertMany(people(200));
  const start = request(db, recommended(sourceUri(b), db, "users"));
  for (const state of ["copying", "copied", "rewound", "streaming"] as const)
    await assert.rejects(startConnector(start, { ...b.deps, store: new DyingStore(b, state) }), Killed, state);
  const first = await b.deps.store.find(db);
  const { outcome, record } = await startConnector(start, b.deps);
  assert.equal(outcome, "continued");
  assert.equal(record.state, "streaming");
  assert.equal(record.r0._data, first?.r0._data, "the first start position is the one that counts");
  const folded = await b.foldToNow(db, "users");
  assert.deepEqual(compareDocuments(await b.documents(db, "users"), folded.documents), EQUAL);
  await b.deps.rest.remove(db);
});

test("an empty collection starts without a copy, at a stored position", async () => {
  await using b = await bench();
  const db = "empty";
  const config = recommended(sourceUri(b), db, "users", { "heartbeat.interval.ms": "0" });
  const { record } = await startConnector(request(db, config), b.deps);
  assert.equal(record.kind, "empty");
  const offset = offsetState(await b.deps.rest.offsets(db), record.partition);
  assert.deepEqual(offset, { kind: "streaming", token: record.r0, heartbeat: false });
  await b.source.db(db).collection<{ _id: number }>("users").insertMany(people(10));
  const folded = await b.foldToNow(db, "users");
  assert.deepEqual(compareDocuments(await b.documents(db, "users"), folded.documents), EQUAL);
  assert.equal(folded.copied, 0);
  await b.deps.rest.remove(db);
});

test("a removed connector resumes from its position; a lost position is restored", async () => {
  await using b = await bench();
  const db = "again";
  const users = b.source.db(db).collection<{ _id: number; firstname?: string }>("users");
  await users.insertMany(people(20));
  const start = request(db, recommended(sourceUri(b), db, "users"));
  await startConnector(start, b.deps);
  await b.deps.rest.remove(db);
  await users.deleteOne({ _id: 3 });
  assert.equal((await startConnector(start, b.deps)).outcome, "updated");
  assert.equal((await b.foldToNow(db, "users")).copied, 20);
  await awaitStopped(db, b.deps);
  await b.deps.rest.deleteOffsets(db);
  await users.deleteOne({ _id: 4 });
  assert.equal((await startConnector(start, b.deps)).outcome, "continued");
  const folded = await b.foldToNow(db, "users");
  assert.equal(folded.copied, 20, "nothing was copied again");
  assert.deepEqual(compareDocuments(await b.documents(db, "users"), folded.documents), EQUAL);

  const renamed = request(db, recommended(sourceUri(b), db, "users", { "offset.partition.name": "other" }));
  await assert.rejects(startConnector(renamed, b.deps), (error) => isFerry(error, "FERRY_CAPTURE_PARTITION_CHANGED"));
  await b.deps.store.forget(db);
  await b.deps.rest.remove(db);
  await assert.rejects(startConnector(start, b.deps), (error) => isFerry(error, "FERRY_CAPTURE_TOPIC_NOT_EMPTY"));
});

test("cx --plain posts the file, says so, and neither notes a start position nor rewinds", async () => {
  await using b = await bench();
  const { url } = await sharedConnect();
  using folder = tempFolder();
  const db = "posted";
  await b.source.db(db).collection<{ _id: number }>("users").insertMany(people(20));
  const config = recommended(sourceUri(b), db, "users");
  const file = join(folder.path, "posted.json");
  writeFileSync(file, JSON.stringify({ name: db, config }));
  const { status, out, err } = await ferry(["cx", file, "--plain", "--connect", url]);
  assert.deepEqual(
    [status, out],
    [0, "posted is RUNNING: only posted; writes between its copy and its stream may be missing\n"],
    err,
  );
  assert.deepEqual(
    (await b.deps.rest.status(db))?.tasks.map(({ state }) => state),
    ["RUNNING"],
  );
  assert.equal(await b.deps.store.find(db), undefined, "no start position is noted");
  await recordsIn(b, `${db}.users`, 20);
  const copied = fold(await readTopic(b.bootstrap, `${db}.users`));
  assert.deepEqual([copied.records, copied.copied, copied.copyTimes.length], [20, 20, 1], "copied once, and no more");
  await b.deps.rest.remove(db);
});

test("the run book by its commands, with its file unmodified, and cx killed in the middle", async () => {
  const [source, target] = await Promise.all([sharedMongo("source"), sharedMongo("target")]);
  const [kafka, connect] = await Promise.all([sharedKafka(), sharedConnect()]);
  await using b = await bench();
  using folder = tempFolder();
  const names = { "mongo-source": `127.0.0.1:${new URL(source.uri).port}` };
  const endpoints = { source: source.uri, target: target.uri, kafka: kafka.bootstrap, connect: connect.url, names };
  writeFileSync(join(folder.path, "stack.json"), JSON.stringify({ endpoints }));
  const run = (...args: string[]): Promise<FerryRun> => ferry(args, { env: { FERRY_HOME: folder.path } });
  const file = "deploy/kafka-source-connect.json";

  assert.equal((await run("gen-data")).out, "Data inserted successfully!\n");
  const killed = await ferry(["cx", file], {
    env: { FERRY_HOME: folder.path },
    stopWhen: /noted the start position/,
    signal: "SIGKILL",
  });
  assert.equal(killed.status, null);
  assert.notEqual((await b.deps.store.find("mongo-source-connect"))?.state, "streaming");
  const cx = await run("cx", file);
  assert.equal(cx.status, 0, cx.err);
  assert.match(cx.out, /mongo-source is 127\.0\.0\.1:\d+ on the local stack/);
  assert.match(cx.out, /mongo-source-connect is RUNNING: everything since/);

  const kc = await run("kc", "test.users", "-e");
  assert.match(kc.out, /% Reached end of topic test\.users \[0\] at offset 100\n$/);
  await b.source.db("test").collection("users").insertOne({ firstname: "duc", sex: "female" });
  const status = await waitFor(
    async () => {
      const { out } = await run("status");
      return out.includes("at offset 101") ? { done: out } : { seen: out };
    },
    { what: "offset 101", clock: systemClock, timeoutMs: 30_000 },
  );
  for (const line of [
    /"topic": "docker-connect-status"/,
    /"topic": "__consumer_offsets"|"topic": "test\.users"/,
    /source {2}\| {2}mongo-source-connect {2}\| {2}RUNNING {2}\| {2}RUNNING {2}\| {2}com\.mongodb\.kafka\.connect\.MongoSourceConnector/,
    /Currently configured connectors\n\n\[\n {2}"mongo-source-connect"\n\]/,
    /% Reached end of topic test\.users \[0\] at offset 101/,
  ])
    assert.match(status, line);

  assert.match((await run("cx", file)).out, /already streaming; it continues/);
  assert.match((await run("del", "mongo-source-connect")).out, /its position is kept/);
  assert.match(
    (await run("del", "mongo-source-connect", "--forget")).out,
    /its position forgotten\n {2}its records are still in test\.users/,
  );
  const refused = await run("cx", file);
  assert.equal(refused.status, 76);
  assert.match(refused.err, /FERRY_CAPTURE_TOPIC_NOT_EMPTY: test\.users holds 101 records/);
});

test("an unknown key is refused with the one that was meant; nothing is created", async () => {
  await using b = await bench();
  using folder = tempFolder();
  const connect = await sharedConnect();
  const { uri } = await sharedMongo("source");
  const config = {
    ...recommended(uri, "typo", "users"),
    "exactly.once.support": "requested",
    "offsets.storage.topic": "typo-offsets",
    "errors.log.enable": "true",
    "key.converter.schemas.enable": "false",
    transforms: "stamp",
    "transforms.stamp.type": "org.apache.kafka.connect.transforms.InsertField$Value",
    "transforms.stamp.static.field": "by",
    "transforms.stamp.static.value": "x",
    "transforms.stamp.predicate": "some",
    predicates: "some",
    "predicates.some.type": "org.apache.kafka.connect.transforms.predicates.TopicNameMatches",
    "predicates.some.pattern": "x",
    "copy.existing": "true", // deprecated, still honoured
  };
  await requireKnownKeys("typo", config, b.deps.rest);
  const sink = { "connector.class": "com.mongodb.kafka.connect.MongoSinkConnector", topics: "a.b" };
  await requireKnownKeys("sink", { ...sink, "topic.override.a.b.collection": "c" }, b.deps.rest);
  await assert.rejects(
    requireKnownKeys("sink", { ...sink, colection: "c" }, b.deps.rest),
    /sink: unknown key "colection"; did you mean "collection"\?/,
  );

  const { "startup.mode": mode, ...rest } = recommended(uri, "typo", "users");
  const path = join(folder.path, "typo.json");
  const target = (await sharedMongo("target")).uri;
  const args = ["cx", path, "--connect", connect.url, "--target", target, "--kafka", (await sharedKafka()).bootstrap];
  writeFileSync(path, JSON.stringify({ name: "typo", config: { ...rest, "startup.mod": mode } }));
  for (const flags of [[], ["--plain"]]) {
    const { status, err } = await ferry([...args, ...flags]);
    assert.match(err, /typo: unknown key "startup\.mod"; did you mean "startup\.mode"\?/);
    assert.equal(status, 64);
  }
  assert.equal((await b.deps.rest.names()).includes("typo"), false);

  writeFileSync(path, JSON.stringify({ name: "typo", config: rest, "startup.mode": mode }));
  assert.match((await ferry(args)).err, /unknown key "startup\.mode" beside "config"/);
  writeFileSync(path, Buffer.from('{"name": "typ\xf6"}', "latin1"));
  assert.match((await ferry(args)).err, /it is not UTF-8 text/);
});
