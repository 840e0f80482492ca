import assert from "node:assert/strict";
import { test } from "node:test";
import { SourcePace } from "#source/copy/sourcePace.ts";
import { FakeClock } from "../../../harness/memory/fakeClock.ts";

const changed = new AbortController().signal;

test("a rate holds for all readers together, and what was not used is not saved up", async () => {
  const clock = new FakeClock();
  const pace = new SourcePace({ throttle: undefined, perSecond: 100 }, { clock, changed });
  assert.equal(pace.restAfter(5, 50), 500);
  assert.equal(pace.restAfter(5, 50), 1000, "a second reader waits for the first one's share as well");
  await clock.pass(10_000);
  assert.equal(pace.restAfter(5, 100), 1000);
  assert.equal(pace.state, undefined);
});

test("without a rate only the source's load decides", () => {
  const throttle = { state: { share: 0.5, latencyMs: 3, limitMs: 2 }, restAfter: (ms: number) => ms * 3 };
  const pace = new SourcePace({ throttle: throttle as never, perSecond: 0 }, { clock: new FakeClock(), changed });
  assert.deepEqual([pace.restAfter(7, 1000), pace.state?.share], [21, 0.5]);
});
