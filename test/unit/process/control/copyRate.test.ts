import assert from "node:assert/strict";
import { test } from "node:test";
import { CopyRate } from "#process/control/copyRate.ts";

const copying = (copied: number, generation = 1) => ({ phase: "copy" as const, copied, generation, estimate: 1000 });
const UNKNOWN = { perSecond: null, etaMs: null };

test("the pace of a copy is that of the last minute, and tells when it ends", () => {
  const rate = new CopyRate();
  assert.deepEqual(rate.note(copying(0), 0), UNKNOWN);
  assert.deepEqual(rate.note(copying(50), 1000), UNKNOWN, "too short to tell");
  assert.deepEqual(rate.note(copying(200), 2000), { perSecond: 100, etaMs: 8000 });
  assert.deepEqual(rate.note(copying(200), 62_000), { perSecond: 0, etaMs: null }, "it stands still");
  assert.deepEqual(rate.note(copying(1000), 64_000), { perSecond: 400, etaMs: 0 });
});

test("another copy has a pace of its own, and what is no copy has none", () => {
  const rate = new CopyRate();
  rate.note(copying(500), 0);
  assert.deepEqual(rate.note(copying(10, 2), 3000), UNKNOWN);
  assert.deepEqual(rate.note({ ...copying(500, 2), phase: "stream" }, 9000), UNKNOWN);
  assert.deepEqual(rate.note(null, 10_000), UNKNOWN);
});
