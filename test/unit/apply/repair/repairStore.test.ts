import assert from "node:assert/strict";
import { test } from "node:test";
import { Binary, BSON } from "bson";
import fc from "fast-check";
import { type NewRepair, RepairStore } from "#apply/repair/repairStore.ts";
import { MemoryMongo } from "../../../harness/memory/memoryMongo.ts";

const repairOf = (route: string, partition: number, id: number): NewRepair => ({
  route,
  partition,
  key: new Binary(BSON.serialize({ _id: id })),
  kind: "different",
});

const ASKED = fc.array(fc.record({ route: fc.constantFrom("a", "b"), partition: fc.nat(2) }), {
  maxLength: 30,
});

test("each repair waits for the owner of its partition alone, in the order in which it was asked for, until it is settled", async () => {
  await fc.assert(
    fc.asyncProperty(ASKED, fc.func(fc.boolean()), async (asked, isSettled) => {
      const store = new RepairStore(new MemoryMongo().state());
      const repairs = asked.map(({ route, partition }, i) => repairOf(route, partition, i));
      const half = Math.floor(repairs.length / 2);
      const ids = [...(await store.ask(repairs.slice(0, half))), ...(await store.ask(repairs.slice(half)))];
      const done = new Set(ids.filter((_, i) => isSettled(i)));
      for (const id of done) await store.settle(id, { state: "done", did: "wrote", before: null }, undefined);
      for (const route of ["a", "b"])
        for (const partition of [0, 1, 2]) {
          const due = await store.due(route, partition);
          const expected = ids.filter((id, i) => {
            const repair = repairs[i];
            return repair?.route === route && repair.partition === partition && !done.has(id);
          });
          assert.deepEqual(
            due.map(({ _id }) => `${_id}`),
            expected.map(String),
          );
        }
    }),
    { numRuns: 50 },
  );
});

test("a repair that is settled stays as the account of what was done, and asking for none writes nothing", async () => {
  const mongo = new MemoryMongo();
  const store = new RepairStore(mongo.state());
  assert.deepEqual(await store.ask([]), []);
  assert.deepEqual(mongo.names(), []);
  const ids = await store.ask([repairOf("a", 0, 1), repairOf("a", 0, 2), repairOf("a", 0, 3)]);
  const [first, second] = ids;
  if (first === undefined || second === undefined) assert.fail();
  const before = new Binary(BSON.serialize({ _id: 1, was: "wrong" }));
  await store.settle(first, { state: "done", did: "wrote", before }, undefined);
  await store.settle(second, { state: "refused", reason: "it is in a dead letter" }, undefined);
  const found = new Map((await store.of(ids.slice(0, 2))).map((record) => [record._id.toHexString(), record]));
  assert.equal(found.size, 2);
  const [done, refused] = [found.get(first.toHexString()), found.get(second.toHexString())];
  assert.deepEqual(
    [done?.state, done?.did, refused?.state, refused?.reason],
    ["done", "wrote", "refused", "it is in a dead letter"],
  );
  assert.deepEqual(done?.before?.value(), before.value());
  assert.ok(done?.doneAt instanceof Date && done.askedAt instanceof Date);
});
