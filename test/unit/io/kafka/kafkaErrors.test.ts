import assert from "node:assert/strict";
import { test } from "node:test";
import { KafkaClient } from "#io/kafka/client.ts";

test("a broker unknown to DNS is distinguished from an unreachable one, by the client library's error", async () => {
  for (const [bootstrap, mistake] of [
    ["nobody.invalid:1", true],
    ["nobody.invalid:1,nobody.too.invalid:1", true],
    ["127.0.0.1:1", false],
    ["nobody.invalid:1,127.0.0.1:1", false], // the one that is known may come back
  ] as const) {
    await using client = new KafkaClient({ bootstrap, clientId: "test", group: "test" });
    await assert.rejects(client.topics(), { code: "FERRY_KAFKA_UNREACHABLE", facts: { mistake } }, bootstrap);
  }
});
