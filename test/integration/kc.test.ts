import assert from "node:assert/strict";
import { test } from "node:test";
import { Producer } from "@platformatic/kafka";
import { BSON } from "bson";
import { KafkaClient } from "#io/kafka/client.ts";
import { ferry } from "../harness/ferry.ts";
import { sharedKafka } from "../harness/servers.ts";

const produce = async (
  bootstrap: string,
  topic: string,
  records: readonly (readonly [string, Uint8Array | string])[],
) => {
  const producer = new Producer({ clientId: "test", bootstrapBrokers: [bootstrap], idempotent: true });
  const messages = records.map(([key, value], i) => ({
    topic,
    partition: i % 2,
    key: Buffer.from(key),
    value: Buffer.from(value),
  }));
  await producer.send({ messages, acks: -1 });
  await producer.close();
};

test("kc shows JSON and BSON records of all partitions and says where each one ends", async () => {
  const { bootstrap } = await sharedKafka();
  await using kafka = new KafkaClient({ bootstrap, clientId: "test", group: "test" });
  await kafka.createTopic("test.users", 2);
  await produce(bootstrap, "test.users", [
    ['{"_id": 1}', '{"a": 1}'],
    ['{"_id": 2}', BSON.serialize({ b: 2, at: new Date(0) })],
    ['{"_id": 3}', '{"a": 3}'],
  ]);
  const { status, out } = await ferry(["kc", "test.users", "-e", "--kafka", bootstrap]);
  assert.equal(status, 0);
  const lines = out.trimEnd().split("\n");
  assert.deepEqual(lines, [
    '{"_id": 1} => {"a": 1}',
    '{"_id": 3} => {"a": 3}',
    "% Reached end of topic test.users [0] at offset 2",
    '{"_id": 2} => {"b":2,"at":{"$date":"1970-01-01T00:00:00.000Z"}}',
    "% Reached end of topic test.users [1] at offset 1",
  ]);
  const json = await ferry(["kc", "test.users", "-e", "--json", "--kafka", bootstrap]);
  const [first] = json.out.split("\n");
  assert.deepEqual(
    { ...JSON.parse(first ?? ""), timestampMs: 0 },
    {
      topic: "test.users",
      partition: 0,
      offset: 0,
      timestampMs: 0,
      key: '{"_id": 1}',
      value: '{"a": 1}',
    },
  );
});

test("kc follows a topic until it is stopped, and refuses one that does not exist", async () => {
  const { bootstrap } = await sharedKafka();
  await using kafka = new KafkaClient({ bootstrap, clientId: "test", group: "test" });
  await kafka.createTopic("followed", 2);
  const end = "% Reached end of topic followed [0] at offset";
  const running = ferry(["kc", "followed", "--kafka", bootstrap], { stopWhen: /\[0\] at offset 1/ });
  await produce(bootstrap, "followed", [["k", "later"]]);
  const { out } = await running;
  assert.ok(out.includes(`k => later\n${end} 1`));

  const missing = await ferry(["kc", "no.such", "-e", "--kafka", bootstrap]);
  assert.notEqual(missing.status, 0);
  assert.match(missing.err, /no\.such/);
});
