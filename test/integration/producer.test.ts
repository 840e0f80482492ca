import assert from "node:assert/strict";
import { after, test } from "node:test";
import type { BsonWriter } from "#base/bson/writer.ts";
import { FerryError, isFerry } from "#base/errors/ferryError.ts";
import { systemClock } from "#base/flow/clock.ts";
import { KafkaClient } from "#io/kafka/client.ts";
import { KafkaProducer } from "#io/kafka/producer.ts";
import { type RecordBatch, RecordBatchWriter } from "#io/kafka/recordBatch.ts";
import { ProducerEpochs } from "#io/log/producerEpochs.ts";
import { freePorts } from "#tools/stack/ports.ts";
import { MemoryMongo } from "../harness/memory/memoryMongo.ts";
import { TcpProxy } from "../harness/proxy.ts";
import { kafka } from "../harness/servers.ts";

/** A broker whose clients come through a proxy, since that is what it tells them. */
const [port = 0] = await freePorts(1);
const proxy = await TcpProxy.start(port);
const broker = await kafka({ port, props: { "advertised.listeners": `PLAINTEXT://127.0.0.1:${proxy.port}` } });
const bootstrap = `127.0.0.1:${proxy.port}`;
after(async () => {
  await broker[Symbol.asyncDispose]();
  await proxy[Symbol.asyncDispose]();
});

/** Produce, version 9: the size of the request comes first. */
const isProduce = (bytes: Buffer): boolean => bytes.length > 8 && bytes.readInt32BE(4) === 9;

const batchOf = (...values: readonly string[]): RecordBatch => {
  const writer = new RecordBatchWriter(64);
  for (const value of values) {
    const bytes = Buffer.from(value);
    writer.add(bytes, 1, { valueLength: bytes.length, writeValue: (out: BsonWriter) => out.raw(bytes) });
  }
  return writer.take(Date.now());
};

/** An id of its own. */
const identify = async (allot: () => Promise<bigint>) => ({ producerId: await allot(), producerEpoch: 0 });

const valuesIn = async (client: KafkaClient, topic: string): Promise<string[]> => {
  const { records } = await client.fetch({ topic, partition: 0, offset: 0, maxBytes: 1_000_000, maxWaitMs: 500 });
  return records.map(({ value }) => Buffer.from(value ?? []).toString());
};

test("an answer that is lost: the batch is sent again, and is in the topic once, before the next one", async () => {
  const retries: string[] = [];
  await using client = new KafkaClient({ bootstrap, clientId: "test", group: "test" });
  await client.createTopic("lost", 1);
  await using producer = new KafkaProducer({
    bootstrap,
    clientId: "producer",
    identify,
    clock: systemClock,
    onRetry: ({ code }) => retries.push(code),
  });
  await producer.send("lost", 0, batchOf("a1", "a2"));
  for (const batch of [batchOf("b1", "b2", "b3"), batchOf("c1")]) {
    proxy.loseAnswerTo(isProduce);
    await producer.send("lost", 0, batch);
  }
  await producer.send("lost", 0, batchOf("d1"));
  assert.equal(proxy.lost, 2);
  assert.ok(retries.length >= 2, retries.join());
  assert.deepEqual(await valuesIn(client, "lost"), ["a1", "a2", "b1", "b2", "b3", "c1", "d1"]);
});

test("a broker that does not know the producer's last number: a new id, nothing lost", async () => {
  const retries: string[] = [];
  await using client = new KafkaClient({ bootstrap, clientId: "test", group: "test" });
  await client.createTopic("forgot", 2);
  const options = { bootstrap, clientId: "producer", identify, clock: systemClock };
  await using producer = new KafkaProducer({ ...options, onRetry: ({ detail }) => retries.push(detail) });
  const first = batchOf("a1", "a2");
  await producer.send("forgot", 0, first);
  // More than it has: what the broker sees when a batch in between has gone.
  await producer.send("forgot", 0, { ...batchOf("b1"), count: 5 });
  await producer.send("forgot", 0, batchOf("c1"));
  assert.deepEqual(await valuesIn(client, "forgot"), ["a1", "a2", "b1", "c1"]);
  assert.match(retries.join("; "), /does not know this producer/);
});

test("a topic that is made while it is written to is waited for", async () => {
  await using client = new KafkaClient({ bootstrap, clientId: "test", group: "test" });
  let created: Promise<void> | undefined;
  await using producer = new KafkaProducer({
    bootstrap,
    clientId: "producer",
    identify,
    clock: systemClock,
    onRetry: ({ code }) => {
      assert.equal(code, "FERRY_KAFKA_TOPIC_MISSING");
      created ??= client.createTopic("late", 1);
    },
  });
  await producer.send("late", 0, batchOf("a1"));
  await created;
  assert.deepEqual(await valuesIn(client, "late"), ["a1"]);
});

test("one id and rising epochs: what an earlier producer still holds is refused once a later one has written there", async () => {
  await using client = new KafkaClient({ bootstrap, clientId: "test", group: "test" });
  await client.createTopic("epochs", 2);
  const epochs = new ProducerEpochs(new MemoryMongo().state());
  const owner = { current: "" };
  const producerOf = (name: string) =>
    new KafkaProducer({
      ...{ bootstrap, clientId: name, clock: systemClock, onRetry: () => undefined },
      identify: async (allot) => {
        const identity = await epochs.next(allot);
        if (owner.current !== name) throw new FerryError("FERRY_FENCED", "another process has taken the capture over");
        return identity;
      },
    });
  const send = (producer: KafkaProducer, value: string, partition = 0) =>
    producer.send("epochs", partition, batchOf(value));
  owner.current = "frozen";
  await using frozen = producerOf("frozen");
  await send(frozen, "f1");
  await send(frozen, "f2");
  owner.current = "successor";
  await using successor = producerOf("successor");
  await send(frozen, "f3"); // the successor has written nothing there: its own next record
  await send(successor, "s1");
  await assert.rejects(send(frozen, "f4"), (error) => isFerry(error, "FERRY_FENCED"));
  await assert.rejects(send(frozen, "f4", 1), (error) => isFerry(error, "FERRY_FENCED"), "it has lost its identity");
  await send(successor, "s2");
  assert.deepEqual(await valuesIn(client, "epochs"), ["f1", "f2", "f3", "s1", "s2"]);
});
