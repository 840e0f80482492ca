import assert from "node:assert/strict";
import { test } from "node:test";
import type { Clock } from "#base/flow/clock.ts";
import { every } from "#base/flow/every.ts";
import { FakeClock } from "../../../harness/memory/fakeClock.ts";

/** Time passes by sleeping only; the n-th sleep ends the loop. */
const clockOf = (ending: AbortController, sleeps: number, seen: string[]): Clock => ({
  now: () => 0,
  sleep: async (ms, signal) => {
    seen.push(`sleep ${ms}`);
    if (seen.filter((what) => what.startsWith("sleep")).length < sleeps) return;
    ending.abort(new Error("the end"));
    signal?.throwIfAborted();
  },
});

const run = async (first: "now" | "later"): Promise<string[]> => {
  const ending = new AbortController();
  const seen: string[] = [];
  const clock = clockOf(ending, 3, seen);
  await every(50, { clock, ended: ending.signal, first }, async () => {
    seen.push("work");
  });
  return seen;
};

test("periodic work is done now or later, and again after each pause, until the end", async () => {
  assert.deepEqual(await run("now"), ["work", "sleep 50", "work", "sleep 50", "work", "sleep 50"]);
  assert.deepEqual(await run("later"), ["sleep 50", "work", "sleep 50", "work", "sleep 50"]);
});

test("a failure of periodic work ends it, and an end before it begins does nothing", async () => {
  const ending = new AbortController();
  const options = { clock: clockOf(ending, 9, []), ended: ending.signal, first: "now" } as const;
  await assert.rejects(
    every(50, options, async () => {
      throw new Error("broken");
    }),
    /broken/,
  );
  ending.abort();
  await every(50, options, async () => assert.fail("after the end"));
});

test("a periodic loop may be woken early, and its pace may change", async () => {
  const clock = new FakeClock();
  const began = clock.now();
  const [ending, waking] = [new AbortController(), new AbortController()];
  const patient = AbortSignal.any([ending.signal, waking.signal]);
  const at: number[] = [];
  const pace = {
    clock,
    ended: ending.signal,
    first: "later" as const,
    woken: () => (waking.signal.aborted ? ending.signal : patient),
  };
  const running = every(
    () => (waking.signal.aborted ? 20 : 250),
    pace,
    async () => void at.push(clock.now() - began),
  );
  await clock.pass(300);
  waking.abort();
  await clock.pass(50);
  ending.abort();
  await running;
  assert.deepEqual(at, [250, 300, 320, 340]);
});
