import assert from "node:assert/strict";
import { test } from "node:test";
import { FerryError, isFerry } from "#base/errors/ferryError.ts";
import type { Clock } from "#base/flow/clock.ts";
import { retry, retryForever, waitFor } from "#base/flow/retry.ts";

/** Time that passes only by sleeping. */
const fakeClock = (): Clock & { slept: number[] } => {
  let now = 0;
  const slept: number[] = [];
  return {
    slept,
    now: () => now,
    sleep: async (ms, signal) => {
      signal?.throwIfAborted();
      slept.push(ms);
      now += ms;
    },
  };
};

const passing = (): FerryError => new FerryError("FERRY_MONGO_TRANSIENT", "an election");

test("transient errors are retried, with growing pauses within the limit", async () => {
  const clock = fakeClock();
  let tries = 0;
  const answer = await retryForever(
    async () => {
      if (++tries < 12) throw passing();
      return "done";
    },
    { what: "work", clock, random: () => 1, pauseMs: 20, maxPauseMs: 1000 },
  );
  assert.equal(answer, "done");
  assert.deepEqual(clock.slept, [20, 40, 80, 160, 320, 640, 1000, 1000, 1000, 1000, 1000]);
});

test("what does not pass goes straight up, as it is", async () => {
  const clock = fakeClock();
  for (const error of [
    new FerryError("FERRY_FENCED", "x"),
    new FerryError("FERRY_MONGO_REJECTED", "x"),
    new Error("x"),
  ]) {
    await assert.rejects(
      retry(() => Promise.reject(error), { what: "work", clock, giveUpAfterMs: 1000 }),
      (thrown) => thrown === error,
    );
  }
  assert.deepEqual(clock.slept, []);
});

test("it gives up when the failure lasted too long, with the same code and what was tried", async () => {
  const clock = fakeClock();
  await assert.rejects(
    retry(() => Promise.reject(passing()), { what: "writing lane 1", clock, giveUpAfterMs: 500, random: () => 1 }),
    (error) => isFerry(error, "FERRY_MONGO_TRANSIENT") && /writing lane 1: an election/.test(error.detail),
  );
  assert.ok(clock.now() >= 500 && clock.now() < 1500);
});

test("an abort ends it with the signal's reason, also in a pause", async () => {
  const stop = new AbortController();
  const clock = fakeClock();
  const work = retry(
    async () => {
      stop.abort(new FerryError("FERRY_STOPPED", "by a signal"));
      throw passing();
    },
    { what: "work", clock, signal: stop.signal, giveUpAfterMs: Number.POSITIVE_INFINITY },
  );
  await assert.rejects(work, (error) => isFerry(error, "FERRY_STOPPED"));
});

test("waiting for a condition reports the last state", async () => {
  const clock = fakeClock();
  let n = 0;
  assert.equal(
    await waitFor(async () => (++n === 3 ? { done: n } : { seen: n }), { what: "three", clock, timeoutMs: 1000 }),
    3,
  );
  await assert.rejects(
    waitFor(async () => ({ seen: { lag: 5 } }), { what: "no lag", clock, timeoutMs: 300 }),
    (error) =>
      isFerry(error, "FERRY_TIMEOUT") && error.detail.includes('no lag: timed out after 300 ms; last state: {"lag":5}'),
  );
});
