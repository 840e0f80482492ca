import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { isFerry } from "#base/errors/ferryError.ts";
import { Machine } from "#cutover/machine/machine.ts";
import { type Rehearsed, rehearse } from "#cutover/machine/rehearsal.ts";
import { pauseOf } from "#cutover/machine/report.ts";
import { LEASE_MS, Life, newRecord, type Plan, partsOf, World, WorldMemory } from "./world.ts";

const MAX_PAUSE = 3000;

const rehearsed = async (world: World, written: Rehearsed["parts"][] = []): Promise<Rehearsed> => {
  const remember = async (laps: Rehearsed["parts"]): Promise<void> => {
    await world.clock.sleep(2); // as WorldMemory
    written.push({ ...laps });
  };
  const parts = partsOf(world, new Life(), () => undefined);
  const deps = { parts, remember, now: async () => 7n, clock: world.clock, signal: new AbortController().signal };
  return world.clock.until(rehearse({ ...deps, maxPauseMs: MAX_PAUSE }));
};

const cutover = async (world: World) => {
  world.record = newRecord(MAX_PAUSE);
  const machine = new Machine(
    {
      memory: new WorldMemory(world, new Life(), "driver"),
      parts: partsOf(world, new Life(), () => undefined),
      clock: world.clock,
      signal: new AbortController().signal,
      leaseMs: LEASE_MS,
      command: "ferry cutover",
      report: () => undefined,
      onRetry: () => undefined,
    },
    { pausedMs: 0 },
  );
  return world.clock.until(machine.run(world.record));
};

const aPlan: fc.Arbitrary<Plan> = fc.record({
  drain: fc.record({ ms: fc.integer({ min: 0, max: 1500 }) }),
  prove: fc.record({ ms: fc.integer({ min: 0, max: 500 }) }),
  trial: fc.record({ ms: fc.integer({ min: 0, max: 200 }) }),
});

test("a rehearsal predicts the pause within a factor of two, whatever the drain, the proof and the start of a command take", async () => {
  await fc.assert(
    fc.asyncProperty(aPlan, async (plan) => {
      const { pauseMs } = await rehearsed(new World(plan));
      // Raising the fence takes the 25 ms that a rehearsal assumes; a command takes what its start does.
      const world = new World({ ...plan, raise: { ms: 25 }, release: plan["trial"] ?? {} });
      const record = await cutover(world);
      const { ms } = pauseOf(record);
      assert.ok(pauseMs <= 2 * ms && ms <= 2 * pauseMs, `${pauseMs} ms were predicted, ${ms} ms it took`);
    }),
  );
});

test("the parts of a pause are all of it: from the fence's record to the end of the release, with the records between", async () => {
  const world = new World({ drain: { ms: 300 } });
  const record = await cutover(world);
  const { fencing, ending } = record.entered;
  const writeMs = 2;
  assert.equal(pauseOf(record).ms, Number(ending) - Number(fencing) - writeMs);
});

test("a rehearsal fences nothing, sends services nowhere, and leaves the capture at its usual pace", async () => {
  const world = new World({});
  const { parts } = await rehearsed(world);
  const tries = Array.from({ length: 5 }, () => ["drain", "trial"]).flat();
  assert.deepEqual(world.done, ["hurry", "approach", ...tries, "hurry"]);
  assert.deepEqual([world.fenced, world.address, world.deferred, world.hurried], [false, "source", true, false]);
  assert.deepEqual(Object.keys(parts), ["fencing", "draining", "proving", "restoring", "releasing"]);
});

test("a drain over the limit fails the rehearsal, and the capture is slow again", async () => {
  const world = new World({ drain: { ms: MAX_PAUSE + 1 } });
  await assert.rejects(rehearsed(world), (error) => isFerry(error, "FERRY_CUTOVER_PAUSE"));
  assert.equal(world.hurried, false);
});
