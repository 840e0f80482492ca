import assert from "node:assert/strict";
import { test } from "node:test";
import { Int32 } from "bson";
import { MongoClient } from "mongodb";
import { ClaimStore } from "#apply/lanes/claimStore.ts";
import { Claims } from "#apply/lanes/claims.ts";
import { outsideCommit, transactionalCommit } from "#apply/lanes/laneCommit.ts";
import { LanePositionStore } from "#apply/lanes/lanePositions.ts";
import type { PartitionRecord, WorkerRecord } from "#apply/lanes/laneRecords.ts";
import { LaneStore } from "#apply/lanes/laneStore.ts";
import { systemClock } from "#base/flow/clock.ts";
import { waitFor } from "#base/flow/retry.ts";
import type { StateTx } from "#base/flow/stateTx.ts";
import { NO_COUNTS } from "#base/flow/types.ts";
import { within } from "#io/mongo/session.ts";
import { StateDb } from "#io/state/stateDb.ts";
import { booksOf } from "../harness/books.ts";
import { testSeed } from "../harness/load.ts";
import { type Change, randomChanges, TestTopic } from "../harness/loadTopic.ts";
import { TcpProxy } from "../harness/proxy.ts";
import { mongo, sharedKafka, sharedMongo } from "../harness/servers.ts";
import { startWorker, type WorkerProcess } from "../harness/worker.ts";

const LEASE_MS = 1500;
/** Beyond the lease: the others look every 400 ms, and this machine may be busy with other things. */
const SLACK_MS = 20_000;

/** Owner of each partition, as the pid of a worker; null for none. */
const ownersOf = async (client: MongoClient, topic: string): Promise<(number | null)[]> => {
  const db = client.db("ferry");
  const partitions = await db
    .collection<PartitionRecord>("partitions")
    .find({ topic })
    .sort({ partition: 1 })
    .toArray();
  const workers = await db.collection<WorkerRecord>("workers").find().toArray();
  return partitions.map(({ owner }) => workers.find(({ _id }) => _id === owner)?.pid ?? null);
};

const owners = (
  client: MongoClient,
  topic: string,
  what: string,
  holds: (pids: readonly (number | null)[]) => boolean,
): Promise<void> =>
  waitFor(
    async () => {
      const pids = await ownersOf(client, topic);
      return pids.length > 0 && holds(pids) ? { done: undefined } : { seen: pids };
    },
    { what, clock: systemClock, timeoutMs: 40_000, everyMs: 25 },
  );

/** Each worker owns `share` partitions, and none is without an owner. */
const evenly = (workers: readonly WorkerProcess[], share: number) => (pids: readonly (number | null)[]) =>
  workers.every((worker) => pids.filter((pid) => pid === worker.pid).length === share);

const open = async (name: string, partitions: number) => {
  const [broker, server] = await Promise.all([sharedKafka(), sharedMongo("target")]);
  const client = await new MongoClient(server.uri).connect();
  const topic = await TestTopic.create(broker.bootstrap, name, partitions);
  const options = {
    target: server.uri,
    kafka: broker.bootstrap,
    leaseMs: LEASE_MS,
    args: ["--topics", name, "--batch-count", "200"],
  };
  return {
    client,
    topic,
    options,
    broker,
    [Symbol.asyncDispose]: async () => {
      await topic[Symbol.asyncDispose]();
      await client.close();
    },
  };
};

/** The state of key 0 in generations: a late write of an old one is seen. */
const generation = (n: number, keys: number): Change[] =>
  Array.from(
    { length: keys },
    (_, key): Change => ({ op: "update", doc: { _id: new Int32(key), generation: new Int32(n) } }),
  );

for (const fault of ["after-read", "mid-batch", "before-commit", "after-commit"] as const) {
  test(`a worker frozen at ${fault} until its partitions moved writes nothing stale, rejoins, and owns its share`, async () => {
    const name = `test.fence_${fault}`;
    await using opened = await open(name, 2);
    const { client, topic, options, broker } = opened;
    await topic.send(generation(1, 50));
    await using frozen = await startWorker({ ...options, env: { FERRY_FAULT: `${fault}:1:stop` } });
    await frozen.freezes();
    const stoppedAt = performance.now();
    await using successor = await startWorker(options);
    await owners(client, name, "the successor to own everything", evenly([successor], 2));
    const takeoverMs = Math.round(performance.now() - stoppedAt);
    await topic.send(generation(2, 50)); // what the frozen one had in its hands is changed meanwhile
    await topic.equals(client);

    frozen.kill("SIGCONT");
    await frozen.says(/FERRY_FENCED|was taken over by another worker/);
    await owners(client, name, "each to own one partition", evenly([frozen, successor], 1));
    await topic.send(generation(3, 50));
    await topic.equals(client);
    await booksOf(client, broker.bootstrap, name);
    console.log(`taken over ${takeoverMs} ms after the freeze (lease ${LEASE_MS} ms, the successor's start included)`);
    assert.ok(takeoverMs < LEASE_MS + SLACK_MS, `${takeoverMs} ms`);
    assert.ok(frozen.isRunning() && successor.isRunning());
  });
}

test("an idle worker that was frozen learns that its partitions are gone, and gets a share again", async () => {
  const name = "test.fence_idle";
  await using opened = await open(name, 4);
  const { client, topic, options } = opened;
  await topic.send(randomChanges(200, { seed: 1 }));
  await using first = await startWorker(options);
  await using second = await startWorker(options);
  await owners(client, name, "each to own two", evenly([first, second], 2));
  await topic.equals(client);
  first.kill("SIGSTOP");
  const stoppedAt = performance.now();
  await owners(client, name, "the other to own all", evenly([second], 4));
  const takeoverMs = Math.round(performance.now() - stoppedAt);
  console.log(`taken over ${takeoverMs} ms after the freeze (lease ${LEASE_MS} ms)`);
  assert.ok(takeoverMs < LEASE_MS + SLACK_MS, `${takeoverMs} ms`);
  first.kill("SIGCONT");
  await owners(client, name, "each to own two again", evenly([first, second], 2));
  await topic.send(randomChanges(200, { seed: 2 }));
  await topic.equals(client);
});

for (const transactional of [true, false])
  test(`a lane belongs to its epoch alone, also if it was not moved since (${transactional ? "with" : "without"} transactions)`, async () => {
    const server = await sharedMongo("target");
    await using client = await new MongoClient(server.uri).connect();
    const stateDb = `ferry_epoch_${transactional}`;
    const state = new StateDb(client, stateDb);
    await state.prepare();
    const [name, from] = ["test.epoch", "test.epoch"];
    const ownerOf = async (workerId: string) => {
      const options = { state, workerId, leaseMs: 1, transactional }; // it has run out when the next one claims
      const store = new LaneStore(options);
      await store.register({ name, from }, "topic-id", 1, 1);
      const claim = await waitFor(
        async () => {
          const done = await new Claims({ ...options, records: new ClaimStore(state) }).claim(name, 0, 1, 0);
          return done === undefined ? { seen: "another's" } : { done };
        },
        { what: "the partition to be free", clock: systemClock, timeoutMs: 10_000, everyMs: 5 },
      );
      const [lane] = claim.lanes;
      assert.ok(lane);
      const docs = client.db(stateDb).collection<{ _id: string }>("documents");
      const counts = { ...NO_COUNTS, received: 1, applied: 1 };
      const write = async (tx: StateTx | undefined): Promise<void> => {
        await docs.insertOne({ _id: workerId }, within(tx));
      };
      const move = { offset: 7, at: 1n, logTimeMs: 1, counts, filteredBy: {} };
      const deps = {
        positions: new LanePositionStore(state),
        isContended: () => false,
        clock: systemClock,
        signal: AbortSignal.timeout(20_000),
        onRetry: () => undefined,
      };
      const [session] = claim.sessions;
      const commit = session === undefined ? outsideCommit(deps, session) : transactionalCommit(deps, session);
      const note = async (): Promise<void> => undefined;
      return {
        lane,
        store,
        docs,
        write: () => commit.commit(lane, async () => ({ move, write, note }), 3),
        end: () => Promise.all(claim.sessions.map((session) => session.end())),
      };
    };
    await client.db(stateDb).createCollection("documents");
    const former = await ownerOf("former");
    const next = await ownerOf("next");
    assert.equal(next.lane.offset, former.lane.offset, "nobody has moved it");
    await assert.rejects(former.write(), { code: "FERRY_FENCED" });
    const [record] = await next.store.lanes.find().toArray();
    assert.equal(Number(record?.offset), 0);
    assert.equal(Number(record?.counts.received), 0);
    await next.write();
    await assert.rejects(former.write(), { code: "FERRY_FENCED" });
    assert.deepEqual(await next.docs.distinct("_id"), ["next"]);
    await Promise.all([former.end(), next.end()]);
  });

test("a living worker renews its leases: they run on while owner and epoch stay", async () => {
  const name = "test.fence_renew";
  await using opened = await open(name, 2);
  const { client, topic, options } = opened;
  await topic.send(randomChanges(50, { seed: 5 }));
  await using worker = await startWorker({ ...options, leaseMs: 6000 });
  await owners(client, name, "the worker to own both", evenly([worker], 2));
  const partitions = client.db("ferry").collection<PartitionRecord>("partitions");
  const read = (): Promise<PartitionRecord[]> => partitions.find({ topic: name }).sort({ partition: 1 }).toArray();
  const first = await read();
  for (const renewed of [1, 2]) {
    const before = await read();
    await waitFor(
      async () => {
        const now = await read();
        const isLater = ({ expiresAt }: PartitionRecord, i: number): boolean =>
          Number(expiresAt) > Number(before[i]?.expiresAt);
        return now.every(isLater) ? { done: undefined } : { seen: now.map(({ expiresAt }) => expiresAt) };
      },
      { what: `the leases to be renewed (${renewed})`, clock: systemClock, timeoutMs: 15_000 },
    );
  }
  assert.deepEqual(
    (await read()).map(({ owner, epoch }) => [owner, Number(epoch)]),
    first.map(({ owner, epoch }) => [owner, Number(epoch)]),
  );
  await topic.equals(client);
});

test("workers join and leave under load: every partition ends with one owner, nothing is lost", async () => {
  const seed = testSeed();
  const name = "test.rebalance";
  await using opened = await open(name, 6);
  const { client, topic, options, broker } = opened;
  let batch = 0;
  const ending = new AbortController();
  const load = (async () => {
    while (!ending.signal.aborted) {
      await topic.send(randomChanges(100, { seed: seed + batch++ }));
      await systemClock.sleep(50);
    }
  })();
  try {
    await using first = await startWorker(options);
    await owners(client, name, "one worker to own six", evenly([first], 6));
    await using second = await startWorker(options);
    await using third = await startWorker(options);
    await owners(client, name, "three workers to own two each", evenly([first, second, third], 2));
    first.kill("SIGTERM");
    const { code, signal } = await first.exited;
    assert.deepEqual({ code, signal }, { code: null, signal: "SIGTERM" }, first.logTail(10));
    assert.match(first.logTail(1), /position saved/);
    await owners(client, name, "two workers to own three each", evenly([second, third], 3));
    ending.abort();
    await load;
    await topic.equals(client);
    const books = await booksOf(client, broker.bootstrap, name);
    assert.equal(books.dead, 0);
  } finally {
    ending.abort();
    await load;
  }
});

test("a second signal ends a worker immediately, even if the target does not answer", async () => {
  const broker = await sharedKafka();
  await using target = await mongo({ name: "frozen" });
  await using client = await new MongoClient(target.uri).connect();
  await using topic = await TestTopic.create(broker.bootstrap, "test.hard", 1);
  await topic.send(randomChanges(100, { seed: 3 }));
  await using proxy = await TcpProxy.start(target.port);
  await using worker = await startWorker({
    target: `mongodb://127.0.0.1:${proxy.port}/?directConnection=true`,
    kafka: broker.bootstrap,
    args: ["--topics", "test.hard"],
  });
  await topic.applied(client);
  proxy.delayWhen((bytes) => bytes.includes("startTransaction"), 5000);
  await topic.send(randomChanges(100, { seed: 4 }));
  await waitFor(async () => (proxy.delayed > 0 ? { done: undefined } : { seen: proxy.delayed }), {
    what: "a lane's transaction to wait for the target",
    clock: systemClock,
    timeoutMs: 20_000,
  });
  target.kill("SIGSTOP"); // requests that are delayed now are not answered later either
  try {
    worker.kill("SIGTERM");
    await worker.says("stopping: finishing buffered records");
    assert.ok(worker.isRunning(), "a soft stop waits for what was read");
    const asked = performance.now();
    worker.kill("SIGTERM");
    const { signal } = await worker.exited;
    const tookMs = performance.now() - asked;
    console.log(`ended ${Math.round(tookMs)} ms after the second signal`);
    assert.ok(tookMs < 3000, `${tookMs} ms`);
    assert.ok(signal === "SIGTERM", String(signal));
  } finally {
    target.kill("SIGCONT");
  }
  await using _next = await startWorker({
    target: target.uri,
    kafka: broker.bootstrap,
    args: ["--topics", "test.hard"],
  });
  await topic.equals(client);
});
