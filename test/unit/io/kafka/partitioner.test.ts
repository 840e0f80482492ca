import assert from "node:assert/strict";
import { test } from "node:test";
import { murmur2, partitionOf } from "#io/kafka/partitioner.ts";

/** From Kafka's own UtilsTest. */
const known: readonly (readonly [key: string, hash: number])[] = [
  ["21", -973932308],
  ["foobar", -790332482],
  ["a-little-bit-long-string", -985981536],
  ["a-little-bit-longer-string", -1486304829],
  ["lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971],
  ["abc", 479470107],
];

test("the hash is Kafka's", () => {
  for (const [key, hash] of known) assert.equal(murmur2(Buffer.from(key)), hash, key);
});

test("every key has one partition of those that there are", () => {
  for (const [key] of known) {
    const found = partitionOf(Buffer.from(key), key.length, 4);
    assert.ok(found >= 0 && found < 4);
    assert.equal(partitionOf(Buffer.from(key), key.length, 4), found);
  }
});
