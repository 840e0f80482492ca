import assert from "node:assert/strict";
import { test } from "node:test";
import { type Document, MongoClient } from "mongodb";
import { systemClock } from "#flow/clock.ts";
import { waitFor } from "#flow/retry.ts";
import { type Random, seeded } from "#run/genData.ts";
import { booksOf } from "../harness/books.ts";
import { waitConverged } from "../harness/compare.ts";
import { fill, startLoad, testSeed } from "../harness/load.ts";
import { connect, kafka, mongo } from "../harness/servers.ts";
import { startWorker, type WorkerProcess, type WorkerStart } from "../harness/worker.ts";
import {
  connectorRuns,
  createTopic,
  recommendedConnector,
  seedConnector,
  startConnector,
} from "../harness/workerConnector.ts";

const DB = "test";

/** A stack of the test's own, connected clients, and how to end them. */
const ownStack = async () => {
  const stack = new AsyncDisposableStack();
  const [source, target, broker] = await Promise.all([mongo({ name: "source" }), mongo({ name: "target" }), kafka()]);
  for (const server of [source, target, broker]) stack.use(server);
  const connectServer = stack.use(await connect(broker.bootstrap));
  const sourceClient = stack.use(await new MongoClient(source.uri).connect());
  const targetClient = stack.use(await new MongoClient(target.uri).connect());
  const end = (): Promise<void> => stack.disposeAsync();
  return { source, target, broker, connectServer, sourceClient, targetClient, [Symbol.asyncDispose]: end };
};

/** Workers that are replaced as soon as they are killed. */
class Crew implements AsyncDisposable {
  readonly #options: WorkerStart;
  readonly #workers: WorkerProcess[] = [];

  constructor(options: WorkerStart) {
    this.#options = options;
  }

  async hire(count: number): Promise<void> {
    const hired = await Promise.all(Array.from({ length: count }, () => startWorker(this.#options)));
    this.#workers.push(...hired);
  }

  /** `kill -9` of one; its replacement is started at once and not waited for. */
  async killOne(random: Random): Promise<void> {
    const index = Math.floor(random() * this.#workers.length);
    const [victim] = this.#workers.splice(index, 1);
    assert.ok(victim);
    assert.ok(victim.isRunning(), `worker ended by itself:\n${victim.logTail(20)}`);
    await victim.crash();
    await victim[Symbol.asyncDispose]();
    await this.hire(1);
  }

  check(): void {
    for (const worker of this.#workers) assert.ok(worker.isRunning(), worker.logTail(20));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker[Symbol.asyncDispose]()));
  }
}

const rest = (ms: number): Promise<void> => systemClock.sleep(ms);

/** Writers begin when the stream is open: what the connector loses before is `ferry cx`'s to cure, and tested there. */
const streams = async (client: MongoClient, target: MongoClient, coll: string): Promise<void> => {
  let n = 0;
  await waitFor(
    async () => {
      await client
        .db(DB)
        .collection(coll)
        .insertOne({ _id: `probe-${n++}` } as Document);
      const seen = await target
        .db(DB)
        .collection(coll)
        .findOne({ _id: /^probe-/ } as Document);
      return seen === null ? { seen: `${n} probes` } : { done: undefined };
    },
    { what: "the first streamed event on the target", clock: systemClock, timeoutMs: 60_000, everyMs: 300 },
  );
};

test("three workers killed 20 times, Connect, the broker and the target once each: equal, and the books balance", async () => {
  const seed = testSeed();
  const random = seeded(seed);
  const topic = `${DB}.users`;
  await using stack = await ownStack();
  const { source, target, broker, connectServer, sourceClient, targetClient } = stack;
  await createTopic(broker.bootstrap, topic, 4);
  const users = sourceClient.db(DB).collection("users");
  await fill(users, 5000, seed);
  await startConnector(connectServer.url, "kill", recommendedConnector(source.uri, DB, "users"));
  await using crew = new Crew({ target: target.uri, source: source.uri, kafka: broker.bootstrap });
  await crew.hire(3);
  await streams(sourceClient, targetClient, "users");

  const load = startLoad(users, { seed, clients: 60, known: 5000 });
  const special: Readonly<Record<number, () => Promise<void>>> = {
    5: async () => {
      await connectServer.crash();
      await connectServer.start();
      await connectorRuns(connectServer.url, "kill");
    },
    10: async () => {
      await broker.crash();
      await broker.start();
    },
    15: async () => {
      await target.node.crash();
      await target.start();
    },
  };
  for (let kill = 0; kill < 20; kill++) {
    await special[kill]?.();
    await crew.killOne(random);
    await rest(300 + random() * 1500); // the moment of the kill is the point: spread over batches, claims and takeovers
  }
  const written = await load.stop();
  await connectorRuns(connectServer.url, "kill");
  const found = await waitConverged({ source: sourceClient, target: targetClient, kafka: broker.bootstrap, topic });
  const books = await booksOf(targetClient, broker.bootstrap, topic);
  crew.check();
  console.log(`${written} operations, ${found.source} documents, books ${JSON.stringify(books)}`);
  assert.equal(books.dead, 0);
  assert.ok(written > 3000, `the writers wrote: ${written}`);
});

test("the user's own connector, deltas looked up, five kills: equal, and the books balance", async () => {
  const seed = testSeed();
  const random = seeded(seed);
  const topic = `${DB}.people`;
  await using stack = await ownStack();
  const { source, target, broker, connectServer, sourceClient, targetClient } = stack;
  await createTopic(broker.bootstrap, topic, 1);
  const people = sourceClient.db(DB).collection("people");
  await fill(people, 1000, seed);
  await startConnector(connectServer.url, "people", seedConnector(source.uri, DB, "people"));
  await using crew = new Crew({ target: target.uri, source: source.uri, kafka: broker.bootstrap });
  await crew.hire(2);
  await streams(sourceClient, targetClient, "people");
  const load = startLoad(people, { seed, clients: 50, known: 1000 });
  for (let kill = 0; kill < 5; kill++) {
    await rest(500 + random() * 1500);
    await crew.killOne(random);
  }
  const written = await load.stop();
  const found = await waitConverged({ source: sourceClient, target: targetClient, kafka: broker.bootstrap, topic });
  const books = await booksOf(targetClient, broker.bootstrap, topic);
  crew.check();
  console.log(`${written} operations, ${found.source} documents, books ${JSON.stringify(books)}`);
  assert.equal(books.dead, 0);
});
