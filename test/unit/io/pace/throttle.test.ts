import assert from "node:assert/strict";
import { test } from "node:test";
import { Throttle } from "#io/pace/throttle.ts";

/** A throttle with a limit of 20 ms, and a way to let a target answer for some time, 50 times a second. */
const open = () => {
  let now = 0;
  const throttle = new Throttle(20, { now: () => now, sleep: async () => undefined });
  const answer = (ms: number, forMs: number): number => {
    for (const end = now + forMs; now < end; now += 20) throttle.answered(ms);
    return throttle.state.share;
  };
  return { throttle, answer };
};

test("it begins carefully; a target that answers well within the limit is written to all the time before long", () => {
  const { throttle, answer } = open();
  assert.deepEqual([throttle.state.share, throttle.restAfter(10), throttle.batchCount(5000)], [0.1, 90, 100]);
  assert.equal(answer(5, 10_000), 1);
  assert.deepEqual([throttle.restAfter(100), throttle.batchCount(5000)], [0, 5000]);
});

test("a slow target is left alone within seconds, but for a trickle, and comes back step by step", () => {
  const { throttle, answer } = open();
  assert.equal(answer(5, 10_000), 1);
  assert.ok(answer(50, 2000) < 0.3);
  assert.equal(answer(50, 10_000), 0.02);
  assert.deepEqual([throttle.restAfter(10), throttle.batchCount(5000)], [490, 100]);
  assert.equal(throttle.restAfter(10_000), 5000);
  const after = answer(5, 3000);
  assert.ok(after > 0.2 && after < 0.5, String(after));
  assert.equal(answer(5, 10_000), 1);
});

test("one slow answer in twenty is borne with, two are not", () => {
  const { throttle, answer } = open();
  answer(5, 9600);
  for (let n = 0; n < 10; n++) {
    answer(5, 480);
    answer(100, 20);
  }
  assert.equal(throttle.state.share, 1);
  answer(5, 400);
  answer(100, 120);
  assert.ok(throttle.state.share < 1);
});

test("just below the limit the share stays where it is", () => {
  const { answer } = open();
  answer(5, 10_000);
  answer(50, 1000);
  const slowed = answer(18, 1000);
  assert.ok(slowed < 1);
  assert.equal(answer(18, 5000), slowed);
});
