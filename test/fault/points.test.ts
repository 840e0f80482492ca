import assert from "node:assert/strict";
import { test } from "node:test";
import { MongoClient } from "mongodb";
import { booksOf } from "../harness/books.ts";
import { testSeed } from "../harness/load.ts";
import { randomChanges, TestTopic } from "../harness/loadTopic.ts";
import { sharedKafka, sharedMongo } from "../harness/servers.ts";
import { startWorker } from "../harness/worker.ts";

/** Where, the how-manieth time, and what makes the worker come there. */
const points: readonly (readonly [point: string, asksToLeave: boolean])[] = [
  ["mid-claim:2", false],
  ["after-read:2", false],
  ["mid-batch:1", false],
  ["mid-batch:3", false],
  ["before-commit:1", false],
  ["before-commit:4", false],
  ["after-commit:1", false],
  ["after-commit:3", false],
  ["before-release:1", true],
];

const scenario = async (
  { fault, leave, standalone }: Readonly<{ fault: string; leave: boolean; standalone: boolean }>,
  seed: number,
): Promise<void> => {
  const broker = await sharedKafka();
  const server = await sharedMongo(standalone ? "standalone" : "target", standalone ? { replSet: null } : {});
  await using client = await new MongoClient(server.uri).connect();
  const name = `test.${standalone ? "alone_" : ""}${fault.replace(":", "_")}`;
  await using topic = await TestTopic.create(broker.bootstrap, name, 2);
  await topic.send(randomChanges(1500, { seed }));
  const options = {
    target: server.uri,
    kafka: broker.bootstrap,
    args: ["--topics", name, "--batch-count", "100", "--slices", "2"],
  };
  {
    await using worker = await startWorker({ ...options, env: { FERRY_FAULT: fault } });
    if (leave) {
      await topic.applied(client);
      worker.kill("SIGTERM");
    }
    const { signal } = await worker.exited;
    assert.equal(signal, "SIGKILL", worker.logTail(20));
    assert.match(worker.log(), /fault point/);
  }
  await topic.send(randomChanges(500, { seed: seed + 1 }));
  await using second = await startWorker(options);
  assert.match(
    second.log(),
    standalone
      ? /target is a standalone \(.*\): effect is at-least-once, since it has no transactions/
      : /target is a replica ?set \(.*\): effect is exactly-once"/i,
  );
  await topic.equals(client);
  const books = await booksOf(client, broker.bootstrap, name, { exactlyOnce: !standalone });
  assert.equal(books.dead, 0);
};

test("a worker killed at the worst moment of each durable step: the next one resumes, equal, books balanced", async (t) => {
  const seed = testSeed();
  for (const [fault, leave] of points) await t.test(fault, () => scenario({ fault, leave, standalone: false }, seed));
});

test("a standalone target, killed between data and position: repeated, and still equal", async (t) => {
  const seed = testSeed();
  for (const fault of ["before-commit:1", "before-commit:5"])
    await t.test(fault, () => scenario({ fault, leave: false, standalone: true }, seed));
});
