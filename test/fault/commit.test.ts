import assert from "node:assert/strict";
import { test } from "node:test";
import { Int32 } from "bson";
import { MongoClient } from "mongodb";
import type { DeadLetterRecord } from "#apply/deadletter/letterRecords.ts";
import type { LaneRecord } from "#apply/lanes/laneRecords.ts";
import { systemClock } from "#base/flow/clock.ts";
import { waitFor } from "#base/flow/retry.ts";
import { booksOf } from "../harness/books.ts";
import { testSeed } from "../harness/load.ts";
import { randomChanges, TestTopic } from "../harness/loadTopic.ts";
import { TcpProxy } from "../harness/proxy.ts";
import { sharedKafka, sharedMongo } from "../harness/servers.ts";
import { startWorker } from "../harness/worker.ts";

const isCommit = (bytes: Buffer): boolean => bytes.includes("commitTransaction");

// The driver retries a commit once: only when that is lost as well does ferry hear that the outcome is unknown.
for (const lost of ["answer", "request"] as const)
  test(`the ${lost} of a lane's commit is lost twice: the batch is in once, and the lane continues in its epoch`, async () => {
    const seed = testSeed();
    const [broker, target] = await Promise.all([sharedKafka(), sharedMongo("target")]);
    await using client = await new MongoClient(target.uri).connect();
    await using topic = await TestTopic.create(broker.bootstrap, `test.lost_${lost}`, 1);
    await topic.send(randomChanges(100, { seed }));
    await using proxy = await TcpProxy.start(target.port);
    await using worker = await startWorker({
      target: `mongodb://127.0.0.1:${proxy.port}/?directConnection=true`,
      kafka: broker.bootstrap,
      args: ["--topics", topic.topic, "--slices", "1"],
      leaseMs: 10_000, // no other worker is there to take it over, and a break of the connections must not let it run out
    });
    await topic.applied(client);
    if (lost === "answer") proxy.loseAnswerTo(isCommit, 2);
    else proxy.loseRequest(isCommit, 2);
    await topic.send(randomChanges(100, { seed: seed + 1 }));
    await waitFor(async () => (proxy.lost >= 2 ? { done: undefined } : { seen: proxy.lost }), {
      what: "both to be lost",
      clock: systemClock,
      timeoutMs: 30_000,
    });
    await topic.send(randomChanges(100, { seed: seed + 2 })); // behind the try that finds out
    await topic.equals(client);
    assert.equal(proxy.lost, 2);
    const books = await booksOf(client, broker.bootstrap, topic.topic);
    assert.equal(books.dead, 0);
    const lanes = await client.db("ferry").collection<LaneRecord>("lanes").find({ topic: topic.topic }).toArray();
    assert.deepEqual(
      lanes.map(({ epoch }) => Number(epoch)),
      [1],
      worker.logTail(20),
    );
    assert.doesNotMatch(worker.log(), /FERRY_FENCED/);
    assert.ok(worker.isRunning());
  });

test("a dead letter is stored with its lane's position, or not at all", async () => {
  const [broker, target] = await Promise.all([sharedKafka(), sharedMongo("target")]);
  await using client = await new MongoClient(target.uri).connect();
  await using topic = await TestTopic.create(broker.bootstrap, "test.letter_commit", 1);
  await topic.send([{ op: "insert", doc: { _id: new Int32(1) } }]);
  await topic.sendRaw([{ key: Buffer.from("no key"), value: Buffer.from("no event") }]);
  await topic.send([{ op: "insert", doc: { _id: new Int32(2) } }]);
  const options = { target: target.uri, kafka: broker.bootstrap, args: ["--topics", topic.topic, "--slices", "1"] };
  const letters = client.db("ferry").collection<DeadLetterRecord>("deadLetters");
  {
    await using worker = await startWorker({ ...options, env: { FERRY_FAULT: "before-commit:1" } });
    assert.equal((await worker.exited).signal, "SIGKILL", worker.logTail(20));
    assert.equal(await letters.countDocuments({ topic: topic.topic }), 0, "nothing of the batch was committed");
  }
  await using _next = await startWorker(options);
  await topic.equals(client);
  assert.equal(await letters.countDocuments({ topic: topic.topic }), 1);
  const books = await booksOf(client, broker.bootstrap, topic.topic);
  assert.deepEqual(books, { received: 3, applied: 2, superseded: 0, filtered: 0, dead: 1 });
});
