import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "#base/flow/clock.ts";
import { seeded } from "#tools/workload/people.ts";
import { booksOf } from "../harness/books.ts";
import { waitConverged } from "../harness/compare.ts";
import { Crew } from "../harness/crew.ts";
import { fill, startLoad, testSeed } from "../harness/load.ts";
import { type OwnStack, ownStack, streams } from "../harness/ownStack.ts";
import {
  connectorRuns,
  createTopic,
  recommendedConnector,
  seedConnector,
  startConnector,
} from "../harness/workerConnector.ts";

const DB = "test";

const rest = (ms: number): Promise<void> => systemClock.sleep(ms);

const withRecommendedConnector = async (stack: OwnStack): Promise<void> => {
  const seed = testSeed();
  const random = seeded(seed);
  const topic = `${DB}.users`;
  const { source, target, broker, connectServer, sourceClient, targetClient } = stack;
  await createTopic(broker.bootstrap, topic, 4);
  const users = sourceClient.db(DB).collection("users");
  await fill(users, 5000, seed);
  await startConnector(connectServer.url, "kill", recommendedConnector(source.uri, DB, "users"));
  await using crew = new Crew({ target: target.uri, source: source.uri, kafka: broker.bootstrap });
  await crew.hire(3);
  await streams(stack, topic);

  const load = startLoad(users, { seed, writers: 60, keys: 6000, pauseMs: 120 });
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
};

const withOwnConnector = async (stack: OwnStack): Promise<void> => {
  const seed = testSeed();
  const random = seeded(seed);
  const topic = `${DB}.people`;
  const { source, target, broker, connectServer, sourceClient, targetClient } = stack;
  await createTopic(broker.bootstrap, topic, 1);
  const people = sourceClient.db(DB).collection("people");
  await fill(people, 1000, seed);
  await startConnector(connectServer.url, "people", seedConnector(source.uri, DB, "people"));
  await using crew = new Crew({
    target: target.uri,
    source: source.uri,
    kafka: broker.bootstrap,
    args: ["--topics", topic],
  });
  await crew.hire(2);
  await streams(stack, topic);
  const load = startLoad(people, { seed, writers: 50, keys: 1500, pauseMs: 120 });
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
};

test("workers are killed under load, on one stack", async (t) => {
  await using stack = await ownStack();
  await t.test(
    "three workers killed 20 times, Connect, the broker and the target once each: equal, and the books balance",
    () => withRecommendedConnector(stack),
  );
  await t.test("the user's own connector, deltas looked up, five kills: equal, and the books balance", () =>
    withOwnConnector(stack),
  );
});
