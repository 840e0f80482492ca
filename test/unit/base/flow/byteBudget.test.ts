import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { BudgetShare, ByteBudget } from "#base/flow/byteBudget.ts";

const never = new AbortController().signal;
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("what fits passes immediately, what does not waits for room, in order of requests", async () => {
  const budget = new ByteBudget(10);
  await budget.take(6, never);
  const order: string[] = [];
  const big = budget.take(8, never).then(() => order.push("big"));
  const small = budget.take(1, never).then(() => order.push("small"));
  await turn();
  assert.deepEqual(order, [], "a small piece does not overtake a big one, or the big one would starve");
  budget.give(6);
  await Promise.all([big, small]);
  assert.deepEqual(order, ["big", "small"]);
  assert.equal(budget.used, 9);
});

test("a piece larger than the budget passes when it is alone", async () => {
  const budget = new ByteBudget(10);
  await budget.take(16, never);
  let passed = false;
  const second = budget.take(20, never).then(() => {
    passed = true;
  });
  await turn();
  assert.equal(passed, false);
  budget.give(16);
  await second;
  assert.equal(budget.used, 20);
});

test("an abort ends the wait with its reason and lets the next one pass", async () => {
  const budget = new ByteBudget(10);
  await budget.take(5, never);
  const stop = new AbortController();
  const waiting = budget.take(9, stop.signal);
  const behind = budget.take(5, never);
  stop.abort(new Error("stopped"));
  await assert.rejects(waiting, /stopped/);
  await behind;
  assert.equal(budget.used, 10);
  await assert.rejects(budget.take(1, stop.signal), /stopped/);
});

test("never above the limit, except for one piece alone, and nothing is used after everything is released", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 30 }), { maxLength: 30 }), async (sizes) => {
      const budget = new ByteBudget(20);
      const held: number[] = [];
      const all = sizes.map(async (size) => {
        await budget.take(size, never);
        held.push(size);
        assert.ok(budget.used <= 20 || held.length === 1);
        await turn();
        held.splice(held.indexOf(size), 1);
        budget.give(size);
      });
      await Promise.all(all);
      assert.equal(budget.used, 0);
    }),
  );
});

test("a share releases what its owner left", async () => {
  const budget = new ByteBudget(10);
  const share = new BudgetShare(budget);
  await share.take(4, never);
  await share.take(5, never);
  share.give(4);
  assert.equal(budget.used, 5);
  share[Symbol.dispose]();
  assert.equal(budget.used, 0, "a partition that failed must not keep the others waiting for ever");
  share.give(5); // a batch that was in flight ends later
  assert.equal(budget.used, 0);
});
