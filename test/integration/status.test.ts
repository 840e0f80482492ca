import assert from "node:assert/strict";
import { test } from "node:test";
import type { Timestamp } from "mongodb";
import { systemClock } from "#base/flow/clock.ts";
import { waitFor } from "#base/flow/retry.ts";
import type { ConnectorConfig } from "#source/connect/connectRest.ts";
import { type CaptureLook, checkCapture } from "#source/connector/connectorHealth.ts";
import { offsetAt } from "#source/connector/connectorOffsets.ts";
import type { ConnectorFinding } from "#source/connector/finding.ts";
import { startConnector } from "#source/connector/gapFreeStart.ts";
import { awaitRunning, awaitStopped } from "#source/connector/startWaits.ts";
import { noteStart } from "#source/stream/sourceProbe.ts";
import { runWorkload } from "#tools/workload/genDataWorkload.ts";
import { CaptureBench, recommended, request } from "../harness/capture.ts";
import { compareDocuments, EQUAL } from "../harness/fold.ts";
import { TcpProxy } from "../harness/proxy.ts";
import { mongo, sharedConnect, sharedKafka, sharedMongo } from "../harness/servers.ts";

const bench = async (sourceUri?: string): Promise<CaptureBench> => {
  const [source, target] = await Promise.all([sharedMongo("source"), sharedMongo("target")]);
  const [kafka, connect] = await Promise.all([sharedKafka(), sharedConnect()]);
  const urls = { target: target.uri, bootstrap: kafka.bootstrap, connect: connect.url };
  return CaptureBench.open({ ...urls, source: sourceUri ?? source.uri });
};

const uri = (b: CaptureBench): string => `mongodb://${String(b.source.options.hosts[0])}`;

/** What `ferry status` looks at, with short waits. */
const look = ({ deps: { rest, clock, kafka, source, store } }: CaptureBench): Promise<CaptureLook> =>
  checkCapture({ rest, clock, kafka, source, store, settleMs: 1000, patienceMs: 2000 });

/** What `ferry status` would find of one connector. */
const findings = async (b: CaptureBench, name: string): Promise<ConnectorFinding[]> => {
  const { findings: found } = await look(b);
  return found.filter(({ connector }) => connector === name);
};

const codes = (found: readonly ConnectorFinding[]): string[] => found.map(({ code }) => code).sort();

/** Asks until the codes are there: events must settle first. */
const awaitFindings = (b: CaptureBench, name: string, wanted: readonly string[]): Promise<ConnectorFinding[]> =>
  waitFor(
    async () => {
      const found = await findings(b, name);
      const asked = found.filter(({ code }) => wanted.includes(code)); // it may be said to be STOPPED while it resumes
      return wanted.every((code) => codes(asked).includes(code)) ? { done: asked } : { seen: found };
    },
    { what: `findings on ${name}`, clock: systemClock, timeoutMs: 30_000, everyMs: 300 },
  );

/** A collection watch as in the run book's own file, without heartbeats, with documents looked up. */
const plainWatch = (b: CaptureBench, db: string, more: ConnectorConfig = {}): ConnectorConfig => ({
  "connector.class": "com.mongodb.kafka.connect.MongoSourceConnector",
  "connection.uri": uri(b),
  database: db,
  collection: "users",
  "startup.mode": "copy_existing",
  "poll.await.time.ms": "500",
  ...more,
});

const users = (b: CaptureBench, db: string) => b.source.db(db).collection<{ _id: number; text?: string }>("users");
const ids = (from: number, to: number): { _id: number }[] =>
  Array.from({ length: to - from }, (_, i) => ({ _id: from + i }));

const started = async (b: CaptureBench, db: string, config: ConnectorConfig): Promise<void> => {
  await users(b, db).insertMany(ids(0, 50));
  await startConnector(request(db, config), b.deps);
};

/** Inserts until one of them is published: what was between the end of the stream and its reopening is lost by then. */
const reopened = async (b: CaptureBench, db: string): Promise<void> => {
  const ends = async (): Promise<number> => (await b.deps.kafka.offsets(`${db}.users`, "latest"))[0] ?? 0;
  const before = await ends();
  await waitFor(
    async () => {
      await users(b, db).insertOne({ _id: 1000 + Math.floor(Math.random() * 1e9) });
      const now = await ends();
      return now > before + 1 ? { done: true } : { seen: now }; // one may still be the drop itself
    },
    { what: "the reopened stream to publish", clock: systemClock, timeoutMs: 30_000, everyMs: 500 },
  );
};

test("a healthy connector has no findings, and what was compared is remembered", async () => {
  await using b = await bench();
  await started(b, "healthy", recommended(uri(b), "healthy", "users"));
  await users(b, "healthy").insertMany(ids(100, 120));
  await b.foldToNow("healthy", "users");
  const before = (await b.deps.store.find("healthy"))?.verified;
  await waitFor(
    async () => {
      assert.deepEqual(await findings(b, "healthy"), []);
      const { verified } = (await b.deps.store.find("healthy")) ?? {};
      return verified?._data === before?._data ? { seen: verified } : { done: true };
    },
    { what: "a comparison", clock: systemClock, timeoutMs: 20_000 },
  );
  // Stopped: what happens since then is the lag, by the source's time.
  assert.equal((await look(b)).pendingAt, undefined);
  await awaitStopped("healthy", b.deps);
  const missed = await b.source.db("healthy").command({ insert: "users", documents: [{ _id: 500 }] });
  await users(b, "healthy").insertOne({ _id: 501 });
  await waitFor(
    async () => {
      const { pendingAt } = await look(b);
      return pendingAt === undefined ? { seen: "nothing pending" } : { done: pendingAt };
    },
    { what: "the change to be missed", clock: systemClock, timeoutMs: 30_000 },
  ).then((pendingAt) => assert.equal(pendingAt, (missed["operationTime"] as Timestamp).toBigInt()));
  await b.deps.rest.remove("healthy");
  assert.deepEqual(codes(await findings(b, "healthy")), ["FERRY_CAPTURE_NOT_RUNNING"]);
  await b.deps.store.forget("healthy");
});

test("a start under load, from the copy over the rewind to the stream, never looks like a gap", async () => {
  await using b = await bench();
  const stop = new AbortController();
  await users(b, "loaded").insertMany(ids(0, 2000));
  const load = runWorkload({
    collection: b.source.db("loaded").collection("users"),
    clients: 4,
    seed: 3,
    clock: systemClock,
    signal: stop.signal,
    ratePerSecond: 300,
  });
  const config = recommended(uri(b), "loaded", "users", { "topic.creation.default.partitions": "4" });
  let streaming = false;
  const start = startConnector(request("loaded", config), b.deps).then(() => {
    streaming = true;
  });
  try {
    for (let after = 0; after < 8; after += streaming ? 1 : 0) {
      assert.deepEqual(await findings(b, "loaded"), []);
      await systemClock.sleep(200);
    }
  } finally {
    stop.abort();
    await Promise.all([start, load]);
  }
  const record = await b.deps.store.find("loaded");
  assert.ok(record?.verified !== undefined && record.verified._data > record.r0._data, "it was compared meanwhile");
  await b.deps.rest.remove("loaded");
  await b.deps.store.forget("loaded");
});

test("an offset that jumped over changes is a gap, which stays until it is accepted", async () => {
  await using b = await bench();
  await started(b, "gap", recommended(uri(b), "gap", "users", { "heartbeat.interval.ms": "500" }));
  await awaitStopped("gap", b.deps);
  await users(b, "gap").insertMany(ids(200, 210));
  const { token } = await noteStart(b.source, { level: "database", db: "gap", coll: "" });
  await b.deps.rest.patchOffsets("gap", [offsetAt("gap-users", token)]);
  await b.deps.rest.resume("gap");
  await awaitRunning("gap", b.deps);
  await users(b, "gap").insertOne({ _id: 300 });
  const [found] = await awaitFindings(b, "gap", ["FERRY_CAPTURE_GAP"]);
  assert.equal(found?.dataAtStake, true);
  assert.match(found.sentence, /10 of 1[01] changes compared are not in the topic/);
  assert.deepEqual(codes(await findings(b, "gap")), ["FERRY_CAPTURE_GAP"], "said once, kept");
  await b.deps.store.acceptAll("gap");
  assert.deepEqual(await findings(b, "gap"), []);
  await b.deps.rest.remove("gap");
  await b.deps.store.forget("gap");
});

test("a collection that was dropped and filled again while the connector was stopped: reopened, and the gap is proven", async () => {
  await using b = await bench();
  await started(b, "dropped", plainWatch(b, "dropped"));
  await awaitStopped("dropped", b.deps);
  await users(b, "dropped").drop();
  await users(b, "dropped").insertMany(ids(500, 600));
  await b.deps.rest.resume("dropped");
  await awaitRunning("dropped", b.deps);
  await reopened(b, "dropped");
  const found = await awaitFindings(b, "dropped", ["FERRY_CAPTURE_GAP", "FERRY_CAPTURE_REOPENED"]);
  assert.ok(found.every(({ dataAtStake }) => dataAtStake));
  await b.deps.rest.remove("dropped");
  await b.deps.store.forget("dropped");
});

test("a database that was dropped and filled again: the connector skips what lies between, which is proven, and cured by a replay", async () => {
  await using b = await bench();
  const config = recommended(uri(b), "emptied", "users");
  await started(b, "emptied", config);
  await b.foldToNow("emptied", "users");
  const connect = await sharedConnect();
  connect.kill("SIGSTOP"); // so that it notices only after the inserts that its stream was closed
  try {
    await b.source.db("emptied").dropDatabase();
    await users(b, "emptied").insertMany(ids(500, 600));
  } finally {
    connect.kill("SIGCONT");
  }
  await reopened(b, "emptied");
  const [found] = await awaitFindings(b, "emptied", ["FERRY_CAPTURE_GAP"]);
  assert.equal(found?.dataAtStake, true);
  assert.match(found.sentence, /changes compared are not in the topic, from insert on emptied\.users/);
  await startConnector({ ...request("emptied", config), replay: true }, b.deps); // from behind the drop, not into it again
  const { documents } = await b.foldToNow("emptied", "users");
  const { missing, different } = compareDocuments(await b.documents("emptied", "users"), documents);
  assert.deepEqual({ missing, different }, { missing: 0, different: 0 });
  assert.deepEqual(await findings(b, "emptied"), []);
  await b.deps.rest.remove("emptied");
  await b.deps.store.forget("emptied");
});

test("a connector that copies again leaves a gap: named, and cured by a replay", async () => {
  await using b = await bench();
  const config = plainWatch(b, "recopied", { "change.stream.full.document": "updateLookup" });
  await started(b, "recopied", config);
  await awaitStopped("recopied", b.deps);
  await b.deps.rest.deleteOffsets("recopied");
  await users(b, "recopied").deleteOne({ _id: 7 });
  await b.deps.rest.resume("recopied");
  const [found] = await awaitFindings(b, "recopied", ["FERRY_CAPTURE_GAP"]);
  assert.match(found?.sentence ?? "", /delete on recopied\.users/);
  assert.equal(
    (await b.foldToNow("recopied", "users")).documents.size,
    51,
    "50 copied, one of them a zombie, and the last",
  );
  const { outcome } = await startConnector({ ...request("recopied", config), replay: true }, b.deps);
  assert.equal(outcome, "continued");
  await b.foldToNow("recopied", "users");
  const { documents } = await b.foldToNow("recopied", "users");
  assert.deepEqual(compareDocuments(await b.documents("recopied", "users"), documents), EQUAL);
  assert.deepEqual(await findings(b, "recopied"), []);

  await awaitStopped("recopied", b.deps);
  const copying = { partition: { ns: `${uri(b)}/recopied.users` }, offset: { _id: "{}", copy: "true" } };
  await b.deps.rest.patchOffsets("recopied", [copying]);
  const again = await awaitFindings(b, "recopied", ["FERRY_CAPTURE_COPY_AGAIN", "FERRY_CAPTURE_NOT_RUNNING"]);
  assert.equal(again.find(({ code }) => code === "FERRY_CAPTURE_COPY_AGAIN")?.dataAtStake, true);
  assert.equal((await startConnector(request("recopied", config), b.deps)).outcome, "continued");
  assert.deepEqual(await findings(b, "recopied"), []);
  await b.deps.rest.remove("recopied");
  await b.deps.store.forget("recopied");
});

test("RUNNING without a cursor: a source that cannot be reached, and a stage that it does not know", async () => {
  await using b = await bench();
  await using proxy = await TcpProxy.start(Number(new URL(uri(b)).port));
  const proxied = `mongodb://127.0.0.1:${proxy.port}/?readConcernLevel=majority`;
  await started(b, "stuck", recommended(proxied, "stuck", "users"));
  proxy.cut();
  await users(b, "stuck").insertOne({ _id: 900 });
  const [cut] = await awaitFindings(b, "stuck", ["FERRY_CAPTURE_STUCK"]);
  assert.match(cut?.sentence ?? "", /insert on stuck\.users .* is not in the topic/);
  assert.equal((await b.deps.rest.status("stuck"))?.tasks[0]?.state, "RUNNING");
  proxy.heal();
  await waitFor(
    async () => {
      const found = await findings(b, "stuck");
      return found.length === 0 ? { done: true } : { seen: found };
    },
    { what: "the connector to go on", clock: systemClock, timeoutMs: 60_000, everyMs: 500 },
  );
  const bad = { ...plainWatch(b, "badstage"), "startup.mode": "latest", pipeline: '[{"$noSuchStage":{}}]' };
  await b.deps.rest.putConfig("badstage", bad);
  await awaitRunning("badstage", b.deps);
  const [refused] = await awaitFindings(b, "badstage", ["FERRY_CAPTURE_STUCK"]);
  assert.match(refused?.sentence ?? "", /noSuchStage/);
  for (const name of ["stuck", "badstage"]) {
    await b.deps.rest.remove(name);
    await b.deps.store.forget(name);
  }
});

test("a document beyond Kafka's limit fails the task by name; what the plain file leaves open is said", async () => {
  await using b = await bench();
  const config = plainWatch(b, "large", {
    "producer.override.max.request.size": "1048576",
    "mongo.errors.tolerance": "all",
  });
  await users(b, "large").insertMany(ids(0, 5));
  await b.deps.rest.putConfig("large", config);
  await awaitRunning("large", b.deps);
  assert.deepEqual(codes(await findings(b, "large")), ["FERRY_CAPTURE_START_UNKNOWN", "FERRY_CAPTURE_TOLERANT"]);
  await users(b, "large").insertOne({ _id: 50, text: "x".repeat(1_500_000) });
  const failed = waitFor(
    async () => {
      await users(b, "large").insertOne({ _id: 100 + Math.floor(Math.random() * 1e9) }); // it fails at its next poll only
      const found = await findings(b, "large");
      return codes(found).includes("FERRY_CAPTURE_RECORD_TOO_LARGE") ? { done: true } : { seen: found };
    },
    { what: "the task to fail", clock: systemClock, timeoutMs: 30_000, everyMs: 500 },
  );
  await failed;
  await b.deps.rest.remove("large");
});

test("a position that leaves the oplog is warned about, and named when the task fails over it", async () => {
  await using small = await mongo({ name: "small", args: ["--oplogSize", "1", "--syncdelay", "1"] });
  await using b = await bench(small.uri);
  await started(b, "rolled", plainWatch(b, "rolled"));
  const turnOplog = async (): Promise<void> => {
    const noise = b.source.db("noise").collection("n");
    for (let i = 0; i < 8; i++)
      await noise.insertMany(Array.from({ length: 100 }, () => ({ text: "y".repeat(20_000) })));
  };
  await waitFor(
    async () => {
      await turnOplog();
      const found = await findings(b, "rolled");
      return codes(found).includes("FERRY_CAPTURE_OPLOG_SHORT") ? { done: true } : { seen: found };
    },
    { what: "the oplog to turn", clock: systemClock, timeoutMs: 60_000, everyMs: 200 },
  );
  const found = await waitFor(
    async () => {
      // The server cuts its oplog when it likes: a task that resumed just before still has an open cursor.
      if ((await b.deps.rest.status("rolled"))?.connector.state !== "STOPPED") await awaitStopped("rolled", b.deps);
      await turnOplog();
      await b.deps.rest.resume("rolled");
      const failed = waitFor(
        async () => {
          const status = await b.deps.rest.status("rolled");
          return status?.tasks.some(({ state }) => state === "FAILED") ? { done: true } : { seen: status };
        },
        { what: "the resumed task to fail", clock: systemClock, timeoutMs: 8000 },
      );
      if (!(await failed.catch(() => false))) return { seen: "it resumed before the oplog was cut" };
      const [first] = (await findings(b, "rolled")).filter(({ code }) => code === "FERRY_CAPTURE_HISTORY_LOST");
      return first === undefined ? { seen: await b.deps.rest.status("rolled") } : { done: first };
    },
    { what: "the task to fail", clock: systemClock, timeoutMs: 90_000, everyMs: 500 },
  );
  assert.equal(found.dataAtStake, true);
  await b.deps.rest.remove("rolled");
  await b.deps.store.forget("rolled");
});
