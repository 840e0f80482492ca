import assert from "node:assert/strict";
import { test } from "node:test";
import { REACH_MS, type Sample, withSample } from "../../../console/src/data/samples.ts";

const sample = (at: number): Sample => ({ at, behindMs: 0, perSecond: 1, waiting: 0 });

test("charts hold the last minutes, in order, one sample a moment", () => {
  const all = [1000, 2000, 2000, 3000].reduce<readonly Sample[]>((found, at) => withSample(found, sample(at)), []);
  assert.deepEqual(
    all.map(({ at }) => at),
    [1000, 2000, 3000],
  );
  assert.deepEqual(
    withSample(all, sample(REACH_MS + 2500)).map(({ at }) => at),
    [3000, REACH_MS + 2500],
  );
});
