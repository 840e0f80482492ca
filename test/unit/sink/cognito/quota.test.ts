import assert from "node:assert/strict";
import { test } from "node:test";
import { Quota } from "#sink/cognito/quota.ts";
import { FakeClock } from "../../../harness/memory/fakeClock.ts";

const { signal } = new AbortController();

/** Calls, as fast as the quota lets them pass. @returns how many passed in so many seconds */
const passed = async (
  clock: FakeClock,
  quota: Quota,
  seconds: number,
  onCall?: (takenAt: number) => void,
): Promise<number> => {
  const until = clock.now() + seconds * 1000;
  let count = 0;
  const caller = async (): Promise<void> => {
    for (;;) {
      const takenAt = await quota.take(signal);
      if (takenAt >= until) return;
      count++;
      onCall?.(takenAt);
    }
  };
  const callers = Promise.all([caller(), caller(), caller()]);
  await clock.pass(seconds * 1000 + 60_000);
  await callers;
  return count;
};

test("calls pass at the quota, evenly, however many ask", async () => {
  const clock = new FakeClock();
  const count = await passed(clock, new Quota(50, clock), 20);
  assert.ok(count >= 1000 && count <= 1000 + 12, `${count} of 1000`);
});

test("a pause between two batches costs no rate, and is no credit for later", async () => {
  const clock = new FakeClock();
  const quota = new Quota(10, clock);
  await passed(clock, quota, 1);
  await clock.pass(60_000);
  const count = await passed(clock, quota, 10);
  assert.ok(count >= 100 && count <= 104, `${count} of 100`);
});

test("where Cognito refuses more than half of the quota, the rate settles below it", async () => {
  const clock = new FakeClock();
  const quota = new Quota(50, clock);
  let [window, inWindow, refused] = [0, 0, 0];
  const onCall = (takenAt: number): void => {
    const second = Math.floor(takenAt / 1000);
    if (second !== window) [window, inWindow] = [second, 0];
    if (++inWindow <= 25) return;
    refused++;
    quota.refused(takenAt);
  };
  const count = await passed(clock, quota, 120, onCall);
  const accepted = count - refused;
  assert.ok(accepted > 0.7 * 25 * 120, `${accepted} of 3000 accepted`);
  assert.ok(refused < 0.15 * count, `${refused} of ${count} refused`);
});

test("calls that were under way at a cut do not cut once more", async () => {
  const clock = new FakeClock();
  const quota = new Quota(100, clock);
  const takenAt = await quota.take(signal);
  await clock.pass(100);
  for (let i = 0; i < 20; i++) quota.refused(takenAt);
  assert.ok(quota.rate > 60, `${quota.rate}`);
});

test("what waits for its turn ends with the signal", async () => {
  const clock = new FakeClock();
  const quota = new Quota(0.001, clock);
  const ending = new AbortController();
  await quota.take(ending.signal);
  await clock.pass(1);
  const waiting = quota.take(ending.signal);
  ending.abort(new Error("ended"));
  await assert.rejects(waiting, /ended/);
});
