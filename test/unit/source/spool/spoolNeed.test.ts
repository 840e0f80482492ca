import assert from "node:assert/strict";
import { test } from "node:test";
import { needsSpool, type SpoolLook } from "#source/spool/spoolNeed.ts";

const look = (seconds: number, part: Partial<SpoolLook>): SpoolLook => ({
  ms: seconds * 1000,
  oplog: { fill: 0.1, windowSeconds: 1000, leftSeconds: 900 },
  copied: 0,
  remaining: 1_000_000,
  ...part,
});

const oplog = (fill: number, windowSeconds: number, leftSeconds: number) => ({ fill, windowSeconds, leftSeconds });

test("a first look decides only where the position stands in the older half of a full oplog", () => {
  const decides = (fill: number, left: number): boolean => {
    const now = look(0, { oplog: oplog(fill, 1000, left) });
    return needsSpool(now, now);
  };
  assert.equal(decides(0.9, 400), true);
  assert.equal(decides(0.9, 600), false);
  assert.equal(decides(0.3, 100), false);
});

test("an oplog that fills is compared with what is left of the copy", () => {
  const first = look(0, { oplog: oplog(0.1, 1000, 1000) });
  const after = (copied: number): boolean =>
    needsSpool(first, look(100, { oplog: oplog(0.2, 1100, 1000), copied, remaining: 1_000_000 - copied }));
  // It is full in 800 s, and the position goes with the last tenths of it: about 980 s.
  assert.equal(after(100_000), true, "900 s of copying are left");
  assert.equal(after(400_000), false, "150 s of copying are left");
  assert.equal(after(0), true, "the amount is unknown");
});

test("in a full oplog it is the part before the position that shrinks; one that stands still holds for ever", () => {
  const first = look(0, { oplog: oplog(0.95, 1000, 900) });
  const after = (left: number): boolean =>
    needsSpool(first, look(60, { oplog: oplog(0.95, 1000, left), copied: 500_000, remaining: 500_000 }));
  assert.equal(after(840), false, "lost in 840 s, copied in 60 s");
  assert.equal(after(600), true, "lost in 120 s, copied in 60 s");
  assert.equal(after(900), false);
});

test("an oplog that may not be read: a copy of ten minutes is a long one", () => {
  const first = look(0, { oplog: undefined });
  assert.equal(needsSpool(first, look(599, { oplog: undefined })), false);
  assert.equal(needsSpool(first, look(600, { oplog: undefined })), true);
});
