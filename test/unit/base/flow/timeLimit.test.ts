import assert from "node:assert/strict";
import { test } from "node:test";
import { timeLimit } from "#base/flow/timeLimit.ts";
import { FakeClock } from "../../../harness/memory/fakeClock.ts";

test("a limit aborts with its reason when its time has passed, and never when it was disposed of before", async () => {
  const clock = new FakeClock();
  const late = new Error("late");
  using kept = timeLimit(100, clock, late);
  const ended = timeLimit(50, clock, late);
  await clock.pass(40);
  ended[Symbol.dispose]();
  await clock.pass(59);
  assert.equal(kept.signal.aborted, false);
  await clock.pass(1);
  assert.equal(kept.signal.reason, late);
  assert.equal(ended.signal.aborted, false);
});
