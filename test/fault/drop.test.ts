import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Int32 } from "bson";
import { type Document, MongoClient } from "mongodb";
import { plainRoute } from "#base/config/routes.ts";
import { systemClock } from "#base/flow/clock.ts";
import { waitFor } from "#base/flow/retry.ts";
import { within } from "#io/mongo/session.ts";
import { StateDb } from "#io/state/stateDb.ts";
import { workerStores } from "#process/worker/workerStores.ts";
import { booksOf } from "../harness/books.ts";
import { ferry } from "../harness/ferry.ts";
import { tempFolder } from "../harness/folders.ts";
import { testSeed } from "../harness/load.ts";
import { ddlRecord, randomChanges, TestTopic } from "../harness/loadTopic.ts";
import { sharedKafka, sharedMongo } from "../harness/servers.ts";
import { startWorker } from "../harness/worker.ts";

const PARTITIONS = 4;
/** A worker looks at its letters once a second. */
const THREE_LOOKS_MS = 3000;

const setUp = async (name: string, partitions = PARTITIONS) => {
  const [broker, server] = await Promise.all([sharedKafka(), sharedMongo("target")]);
  const client = await new MongoClient(server.uri).connect();
  const topic = await TestTopic.create(broker.bootstrap, name, partitions);
  const options = { target: server.uri, kafka: broker.bootstrap, args: ["--topics", name, "--batch-count", "100"] };
  return { client, topic, options, broker: broker.bootstrap };
};

/** Life before the drop, the drop, and life after it, with the same keys. */
const dropInBetween = async (topic: TestTopic, seed: number, partition: number): Promise<void> => {
  await topic.send(randomChanges(1200, { seed }));
  await topic.drop(partition);
  await topic.send(randomChanges(300, { seed: seed + 1, keys: 120 }));
};

test("a dropped collection is dropped on the target, and what came after it is there, whatever the partitions' order", async (t) => {
  const seed = testSeed();
  for (const [name, partitions] of [
    ["one partition", 1],
    ["four partitions, three workers", PARTITIONS],
  ] as const) {
    await t.test(name, async () => {
      const { client, topic, options } = await setUp(`test.drop_${partitions}`, partitions);
      await using _client = client;
      await using _topic = topic;
      await topic.send(randomChanges(500, { seed: seed + 7, keys: 300 }));
      await using _first = await startWorker(options);
      await using _second = await startWorker(options);
      await using _third = await startWorker(options);
      await topic.applied(client);
      await dropInBetween(topic, seed, partitions - 1);
      await topic.equals(client);
      await dropInBetween(topic, seed + 2, 0);
      await topic.equals(client);
    });
  }
});

test("a worker killed in the middle of a drop: the next one finishes it, and drops nothing that came later", async () => {
  const seed = testSeed();
  const { client, topic, options, broker } = await setUp("test.drop_killed");
  await using _client = client;
  await using _topic = topic;
  await dropInBetween(topic, seed, 2);
  {
    await using worker = await startWorker({ ...options, env: { FERRY_FAULT: "mid-drop" } });
    assert.equal((await worker.exited).signal, "SIGKILL", worker.logTail(20));
  }
  await using _second = await startWorker(options);
  await topic.equals(client);
  assert.equal((await booksOf(client, broker, topic.topic, { exactlyOnce: false })).dead, 0);
});

test("a transaction that a killed worker has left in a drop is ended by the next owner, and not waited for", async () => {
  await using client = await new MongoClient((await sharedMongo("target")).uri).connect();
  const state = new StateDb(client, "ferry_orphan");
  await state.prepare();
  const storesOf = (workerId: string) =>
    workerStores({ state, workerId, leaseMs: 300, transactional: true }, systemClock);
  const [killed, next] = [storesOf("killed"), storesOf("next")];
  const route = plainRoute("orphan.docs");
  await killed.store.register(route, "id", 1, 1);
  const claim = await killed.claims.claim(route.name, 0, 1, 0);
  assert.ok(claim !== undefined);
  const drop = { route: route.name, at: 5n };
  await killed.drops.begin(drop.route, 0, drop.at, undefined);
  await killed.drops.take({ ...drop, owner: claim });
  const [held, goesOn] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const orphan = killed.drops.within({ ...drop, owner: claim }, () => {
    held.resolve();
    return goesOn.promise;
  });
  await held.promise;
  const owner = await waitFor(
    async () => {
      const won = await next.claims.claim(route.name, 0, 1, 0);
      return won === undefined ? { seen: "leased" } : { done: won };
    },
    { what: "the lease to run out", clock: systemClock, timeoutMs: 10_000, everyMs: 50 },
  );
  const startedAt = performance.now();
  await next.drops.finish({ ...drop, owner }, new Map());
  assert.ok(performance.now() - startedAt < 20_000, "the server itself ends such a transaction after 60 s");
  assert.equal((await next.runs.run(route.name))?.dropAt?.toBigInt(), drop.at);
  goesOn.resolve();
  await assert.rejects(orphan, { code: "FERRY_FENCED" });
});

test("a failure that passes by itself, in any statement of a drop's transaction, is tried again, and its effect is there once", async () => {
  await using client = await new MongoClient((await sharedMongo("target")).uri).connect();
  const state = new StateDb(client, "ferry_passing");
  await state.prepare();
  const { store, claims, drops, runs } = workerStores(
    { state, workerId: "passing", leaseMs: 60_000, transactional: true },
    systemClock,
  );
  const route = plainRoute("passing.docs").name;
  await store.register(plainRoute(route), "id", 1, 1);
  const owner = await claims.claim(route, 0, 1, 0);
  assert.ok(owner !== undefined);
  const drop = { route, at: 5n, owner };
  await drops.begin(route, 0, drop.at, undefined);
  await drops.take(drop);
  const copied = client.db("passing").collection<{ _id: string }>("docs");
  for (const [command, errorCode] of [
    ["update", 112], // WriteConflict
    ["insert", 112],
    ["update", 189], // PrimarySteppedDown
    ["commitTransaction", 251], // NoSuchTransaction
  ] as const) {
    const data = { failCommands: [command], errorCode, errorLabels: ["TransientTransactionError"] };
    await client.db("admin").command({ configureFailPoint: "failCommand", mode: { times: 1 }, data });
    let tries = 0;
    const _id = `${command} ${errorCode}`;
    await drops.within(drop, async (tx) => {
      tries++;
      await copied.insertOne({ _id }, within(tx));
    });
    assert.equal(tries, command === "update" ? 1 : 2, `${_id}: the failure came, and was tried again`);
    assert.equal(await copied.countDocuments({ _id }), 1);
  }
  const data = { failCommands: ["update"], errorCode: 112, errorLabels: ["TransientTransactionError"] };
  await client.db("admin").command({ configureFailPoint: "failCommand", mode: { times: 1 }, data });
  await drops.finish(drop, new Map());
  assert.equal((await runs.run(route))?.dropAt?.toBigInt(), drop.at);
});

test("a worker frozen in the middle of a drop wakes up when another has finished it, and drops nothing", async () => {
  const seed = testSeed();
  const { client, topic, options } = await setUp("test.drop_frozen");
  await using _client = client;
  await using _topic = topic;
  await dropInBetween(topic, seed, 1);
  await using frozen = await startWorker({ ...options, env: { FERRY_FAULT: "mid-drop:1:stop" } });
  await frozen.freezes();
  await using _second = await startWorker(options);
  await topic.equals(client);
  frozen.kill("SIGCONT");
  await frozen.says(/taken over|released after an error|lets go/);
  await topic.send(randomChanges(200, { seed: seed + 3, keys: 120 }));
  await topic.equals(client);
});

test("an event older than the drop, sent again after it, changes nothing", async () => {
  const { client, topic, options } = await setUp("test.drop_again");
  await using _client = client;
  await using _topic = topic;
  const changes = randomChanges(300, { seed: testSeed() });
  const old = changes.map((change) => topic.record(change));
  const drop = { ...ddlRecord("drop", { db: "test", coll: "drop_again" }), partition: 3 };
  await topic.sendRaw([...old, drop]);
  await using _worker = await startWorker(options);
  await topic.equals(client);
  await topic.send(randomChanges(100, { seed: testSeed() + 1, keys: 50 }));
  await topic.sendRaw([...old, drop]); // a connector that was rewound
  await topic.equals(client);
});

test("a drop that is held halts the topic with a name, leaves the collection, and happens once it is approved", async () => {
  const { client, topic, options } = await setUp("test.drop_held");
  await using _client = client;
  await using _topic = topic;
  using folder = tempFolder();
  const file = join(folder.path, "ferry.yaml");
  writeFileSync(file, "ddl: { drop: hold }\n");
  const held = { ...options, args: [...options.args, "--config", file] };
  await topic.send(randomChanges(50, { seed: testSeed() }));
  const kept = topic.model.size;
  await topic.drop(0);
  await using worker = await startWorker(held);
  assert.equal((await worker.exited).code, 76);
  const [, id = ""] = /FERRY_APPLY_DDL.*ferry structure approve (\S+?)`/.exec(worker.log()) ?? [];
  assert.match(id, /^test\.drop_held\/0\/\d+$/, worker.logTail(20));
  assert.ok((await client.db("test").collection("drop_held").countDocuments()) <= kept);
  assert.notEqual(await client.db("ferry").collection<{ _id: string }>("runs").findOne({ _id: topic.topic }), null);
  const approve = (which: string) => ferry(["structure", "approve", which, "--target", options.target]);
  assert.match((await approve("test.drop_held/0/7777")).err, /FERRY_USAGE/);
  assert.equal((await approve(id)).status, 0);
  await using _again = await startWorker(held);
  await topic.send(randomChanges(30, { seed: testSeed() + 1 }));
  await topic.equals(client);
});

type SetUp = Awaited<ReturnType<typeof setUp>>;

/** The target refuses one document, by a validator that the source does not have and that goes with the collection. */
const setAside = async ({ client, topic, options }: SetUp): Promise<void> => {
  const [db = "", coll = ""] = topic.topic.split(".");
  await client.db(db).createCollection(coll, { validator: { refused: { $exists: false } } });
  await using worker = await startWorker(options);
  await topic.send([
    { op: "insert", doc: { _id: new Int32(2) } },
    { op: "insert", doc: { _id: new Int32(4), refused: true } },
  ]);
  await topic.applied(client);
  await worker.stop();
};

const lettersOf = ({ client, topic }: SetUp) =>
  client.db("ferry").collection<Document>("deadLetters").find({ topic: topic.topic }).toArray();

const replay = ({ topic, options }: SetUp) =>
  ferry(["dlq", "replay", "--route", topic.topic, "--wait-seconds", "0", "--target", options.target]);

const until = (what: string, test: () => Promise<boolean>): Promise<unknown> =>
  waitFor(async () => ((await test()) ? { done: true } : { seen: "not yet" }), {
    what,
    clock: systemClock,
    timeoutMs: 30_000,
  });

test("a dead letter that is replayed while its collection is being dropped brings nothing back", async () => {
  const opened = await setUp("test.drop_replay", 1);
  const { client, topic, options, broker } = opened;
  await using _client = client;
  await using _topic = topic;
  await setAside(opened);
  assert.equal((await lettersOf(opened)).length, 1);
  await using _worker = await startWorker(options);
  // A transaction of a target service holds the drop up, as long as this test wants.
  await using service = client.startSession();
  service.startTransaction();
  await client
    .db("test")
    .collection<Document>("drop_replay")
    .insertOne({ _id: "theirs" as never }, { session: service });
  await topic.drop(0);
  const admin = client.db("admin");
  await until("the drop to wait for the service", async () => {
    const { inprog } = await admin.command({ currentOp: 1, "command.drop": "drop_replay", waitingForLock: true });
    return inprog.length > 0;
  });
  assert.equal((await replay(opened)).status, 75);
  const letters = client.db("ferry").collection("deadLetters");
  const lookedAt = async (): Promise<number> => {
    const used = await letters.aggregate<{ accesses: { ops: bigint } }>([{ $indexStats: {} }]).toArray();
    return used.reduce((total, { accesses }) => total + Number(accesses.ops), 0);
  };
  // The look that finds the letter waits for the lane, which stands still for the drop: no other look follows it. It may have
  // been taken already, so that to wait for one more could be to wait for ever.
  await until("the worker to look at its letters, and to wait", async () => {
    const before = await lookedAt();
    await systemClock.sleep(THREE_LOOKS_MS);
    return (await lookedAt()) === before;
  });
  assert.equal((await lettersOf(opened)).length, 1, "nothing was carried out while the lane stood still");
  await service.commitTransaction();
  await until("the letter to be carried out", async () => (await lettersOf(opened)).length === 0);
  await topic.equals(client);
  assert.equal((await booksOf(client, broker, topic.topic)).dead, 0);
});

test("the partitions that a drop sets back keep their dead letters, and what was decided on them", async () => {
  const opened = await setUp("test.drop_letters", 2);
  const { client, topic, options, broker } = opened;
  await using _client = client;
  await using _topic = topic;
  // In the other partition, with an older clusterTime than the dead letter: the first partition is ahead of the drop.
  const drop = { ...ddlRecord("drop", { db: "test", coll: "drop_letters" }), partition: 1 };
  await setAside(opened);
  assert.equal((await lettersOf(opened)).length, 1);
  assert.equal((await replay(opened)).status, 75);
  await topic.sendRaw([drop]);
  await using _worker = await startWorker(options);
  await until("the letter to be carried out", async () => (await lettersOf(opened)).length === 0);
  await topic.equals(client);
  assert.equal((await booksOf(client, broker, topic.topic, { exactlyOnce: false })).dead, 0);
});
