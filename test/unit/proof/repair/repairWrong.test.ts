import assert from "node:assert/strict";
import { test } from "node:test";
import { BSON, Decimal128, type Document, Double, Int32, Long, ObjectId, Timestamp } from "bson";
import fc from "fast-check";
import { RepairStore } from "#apply/repair/repairStore.ts";
import { identityOf } from "#base/bson/identity.ts";
import {
  askForRepair,
  awaitRepairs,
  type FoundRoute,
  type RepairDeps,
  stillWrong,
  type WrongRoute,
} from "#proof/repair/repairWrong.ts";
import { FakeClock } from "../../../harness/memory/fakeClock.ts";
import { MemoryMongo } from "../../../harness/memory/memoryMongo.ts";

const wrongOf = (id: unknown) => {
  const key = BSON.serialize({ _id: id } as Document);
  return { key, identity: identityOf(key), kind: "missing" as const };
};

const routeOf = (route: string, ids: readonly unknown[]): WrongRoute =>
  ({ pair: { route }, topic: route, wrong: ids.map(wrongOf), behind: 0 }) as unknown as WrongRoute;

const begun = async (mongo: MemoryMongo, route: string, partitions: readonly number[]): Promise<void> => {
  for (const partition of partitions)
    await mongo
      .state()
      .collection("partitions")
      .insertOne({ _id: `${route}/${partition}`, route, partition } as object);
};

const depsOf = (mongo: MemoryMongo, clock = new FakeClock(), signal = new AbortController().signal): RepairDeps =>
  ({ state: mongo.state(), clock, signal }) as unknown as RepairDeps;

test("each wrong document is asked for once, of a partition of its own route, and one document of one partition", async () => {
  const partitions = fc.uniqueArray(fc.nat(40), { minLength: 1, maxLength: 8 });
  const numbers = fc.array(fc.nat(1000), { minLength: 1, maxLength: 30 });
  await fc.assert(
    fc.asyncProperty(partitions, partitions, numbers, async (ofA, ofB, values) => {
      const mongo = new MemoryMongo();
      await begun(mongo, "s.a", ofA);
      await begun(mongo, "s.b", ofB);
      // One `_id`, whatever its type: two owners at work on one document could undo each other.
      const ids = values.flatMap((n) => [
        new Int32(n),
        Long.fromNumber(n),
        new Double(n),
        Decimal128.fromString(`${n}`),
      ]);
      const asked = await askForRepair(depsOf(mongo), [routeOf("s.a", ids), routeOf("s.b", ids)]);
      assert.equal(asked.length, 2 * ids.length);
      const owners = new Map<string, number>();
      for (const { _id, route, partition, key } of await new RepairStore(mongo.state()).of(asked)) {
        assert.ok((route === "s.a" ? ofA : ofB).includes(partition), `${_id}: ${route} has no partition ${partition}`);
        const document = `${route} ${identityOf(key.buffer)}`;
        assert.equal(owners.get(document) ?? partition, partition, document);
        owners.set(document, partition);
      }
    }),
    { numRuns: 50 },
  );
});

test("the work is spread over all partitions of a route", async () => {
  const mongo = new MemoryMongo();
  await begun(mongo, "s.a", [0, 1, 2, 3]);
  const ids = Array.from({ length: 400 }, () => new ObjectId());
  await askForRepair(depsOf(mongo), [routeOf("s.a", ids)]);
  const store = new RepairStore(mongo.state());
  for (const partition of [0, 1, 2, 3]) assert.ok((await store.due("s.a", partition)).length > 50);
});

test("repairs are waited for until none is open, and no longer than was given", async () => {
  const [mongo, clock] = [new MemoryMongo(), new FakeClock()];
  await begun(mongo, "s.a", [0]);
  const deps = depsOf(mongo, clock);
  const store = new RepairStore(mongo.state());
  const [one, two] = await askForRepair(deps, [routeOf("s.a", [1, 2])]);
  if (one === undefined || two === undefined) assert.fail();
  const began = clock.now();
  const short = awaitRepairs(deps, [one, two], 1000);
  const long = awaitRepairs(deps, [one, two], 60_000);
  await clock.pass(900);
  await store.settle(one, { state: "done", did: "wrote" }, undefined);
  await clock.pass(400);
  assert.deepEqual((await short).map(({ state }) => state).sort(), ["asked", "done"], "the time was over");
  await clock.pass(5000);
  await store.settle(two, { state: "refused", reason: "held" }, undefined);
  await clock.pass(200);
  assert.deepEqual((await long).map(({ state }) => state).sort(), ["done", "refused"]);
  assert.ok(clock.now() - began < 10_000);
});

test("a stop ends the wait for repairs", async () => {
  const [mongo, clock, stop] = [new MemoryMongo(), new FakeClock(), new AbortController()];
  await begun(mongo, "s.a", [0]);
  const deps = depsOf(mongo, clock, stop.signal);
  const waiting = assert.rejects(
    awaitRepairs(deps, await askForRepair(deps, [routeOf("s.a", [1])]), 60_000),
    /stopped/,
  );
  await clock.pass(500);
  stop.abort(new Error("stopped"));
  await waiting;
});

/** A source without documents, at this time. */
const emptyAt = (time: bigint): object => ({
  startSession: () => ({ endSession: async () => undefined }),
  db: () => ({
    command: async (command: Document) =>
      "find" in command
        ? { ok: 1, cursor: BSON.serialize({ firstBatch: [], id: Long.ZERO, ns: "s.a" }) }
        : { ok: 1, operationTime: new Timestamp(time) },
  }),
});

test("a finding without a verdict is still one: the run has ended before the source's time, and nothing tells what it is", async () => {
  const [mongo, clock] = [new MemoryMongo(), new FakeClock()];
  const foundOf = (route: string, there: readonly unknown[], applied: bigint): FoundRoute => {
    const documents = new Map(there.map((id) => wrongOf(id)).map(({ key, identity }) => [identity, key]));
    const pair = {
      ...{ route, learn: async () => undefined, applied: async () => applied, excused: async () => new Set() },
      source: { client: emptyAt(9n), ns: { db: "s", coll: route } },
      readTarget: async () => ({ documents, at: 0n }),
    };
    return { pair, topic: route, keys: [1, 2, 3].map((id) => wrongOf(id).key) } as unknown as FoundRoute;
  };
  const looking = stillWrong([foundOf("s.right", [], 5n), foundOf("s.behind", [2, 3], 5n)], depsOf(mongo, clock));
  await clock.pass(40_000);
  const left = await looking;
  assert.deepEqual(
    left.map(({ topic, wrong, behind }) => ({ topic, wrong, behind })),
    [{ topic: "s.behind", wrong: [], behind: 2 }],
  );
});
