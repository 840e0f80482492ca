import assert from "node:assert/strict";
import { test } from "node:test";
import { Long } from "bson";
import { ProducerEpochs } from "#io/log/producerEpochs.ts";
import { MemoryMongo } from "../../../harness/memory/memoryMongo.ts";

test("captures of one state have one id, and no two have one epoch, also those that begin at the same time", async () => {
  const mongo = new MemoryMongo();
  let allotted = 0n;
  const next = () => new ProducerEpochs(mongo.state()).next(async () => ++allotted);
  const all = [...(await Promise.all([next(), next(), next()])), await next(), await next()];
  assert.equal(new Set(all.map(({ producerId }) => producerId)).size, 1);
  assert.deepEqual(all.map(({ producerEpoch }) => producerEpoch).sort(), [1, 2, 3, 4, 5]);
});

test("where epochs are used up another id begins", async () => {
  const mongo = new MemoryMongo();
  await mongo
    .state()
    .collection("producers")
    .insertOne({ _id: "capture", id: Long.fromNumber(7), epoch: 32_765 } as object);
  const next = () => new ProducerEpochs(mongo.state()).next(async () => 9n);
  assert.deepEqual(await next(), { producerId: 7n, producerEpoch: 32_766 });
  assert.deepEqual(await next(), { producerId: 9n, producerEpoch: 1 });
});
