import assert from "node:assert/strict";
import { test } from "node:test";
import { Long } from "bson";
import type { KafkaClient } from "#io/kafka/client.ts";
import type { StateDb } from "#io/state/stateDb.ts";
import { AppliedThroughKafka } from "#proof/verify/appliedThroughKafka.ts";

/** A topic of two partitions, one lane each, by a clock of the test's own. */
class World {
  now = 0;
  position = 0n;
  ends = [0, 0];
  offsets = [0, 0];

  open(settleMs: number): AppliedThroughKafka {
    const records = (name: string): object[] =>
      this.offsets.map((offset, partition) =>
        name === "lanes"
          ? { route: "a.b", topic: "a.b", partition, slice: 0, offset: Long.fromNumber(offset) }
          : { _id: `a.b/${partition}`, route: "a.b", topic: "a.b", slices: 1 },
      );
    const collection = (name: string) => ({ find: () => ({ toArray: async () => records(name) }) });
    return new AppliedThroughKafka("a.b", {
      kafka: { topicOf: async (ns: string) => ns, offsets: async () => [...this.ends] } as unknown as KafkaClient,
      state: { collection } as unknown as StateDb,
      routes: undefined,
      position: async () => this.position,
      settleMs,
      clock: { now: () => this.now, sleep: async () => undefined },
    });
  }
}

test("a position is on the target when the lanes have passed the ends that the topic had after it", async () => {
  const world = new World();
  const applied = world.open(0);
  const look = async (): Promise<bigint> => {
    world.now += 1000;
    return applied.upTo();
  };
  Object.assign(world, { position: 5n, ends: [3, 1] });
  assert.equal(await look(), 0n);
  Object.assign(world, { position: 9n, ends: [7, 4], topicOf: async (ns: string) => ns, offsets: [3, 0] });
  assert.equal(await look(), 0n, "one partition is not there yet");
  world.offsets = [3, 1];
  assert.equal(await look(), 5n, "what came later is not waited for");
  world.offsets = [7, 4];
  assert.equal(await look(), 9n);
});

test("through a connector, the ends count that the topic has when the changes have had their time to come", async () => {
  const world = new World();
  const applied = world.open(10_000);
  Object.assign(world, { position: 5n, ends: [0, 0] });
  world.now = 1000;
  assert.equal(await applied.upTo(), 0n, "the lanes are at the end, and the change is on its way");
  Object.assign(world, { now: 9000, ends: [1, 0] });
  assert.equal(await applied.upTo(), 0n);
  world.now = 12_000;
  assert.equal(await applied.upTo(), 0n, "it has come, and is not applied");
  Object.assign(world, { now: 13_000, topicOf: async (ns: string) => ns, offsets: [1, 0] });
  assert.equal(await applied.upTo(), 5n);
});
