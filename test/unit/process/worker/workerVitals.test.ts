import assert from "node:assert/strict";
import { test } from "node:test";
import { freshWrite, NO_COUNTS, type TargetOp } from "#base/flow/types.ts";
import { NO_VITALS } from "#base/observe/vitals.ts";
import { settledCounter } from "#process/worker/settledCounter.ts";
import { type WorkerState, workerObstacle } from "#process/worker/workerVitals.ts";

const KEY = new Uint8Array(5);

test("a batch counts its events by outcome and its operations by what they do; a replayed letter takes nothing back", () => {
  const counted: unknown[] = [];
  const vitals = { ...NO_VITALS, count: (...one: unknown[]) => void counted.push(one) };
  const settled = settledCounter(vitals, "a.b");
  const ops: TargetOp[] = [
    freshWrite(KEY),
    freshWrite(KEY),
    { ...freshWrite(KEY), fresh: false },
    { op: "patch", key: KEY, changes: [] },
    { op: "delete", key: KEY },
  ];
  settled({ counts: { received: 7, applied: 5, superseded: 2, filtered: 0, dead: 0 }, ops });
  const route = "a.b";
  assert.deepEqual(counted.splice(0), [
    ["ferry_events_total", { route, outcome: "applied" }, 5],
    ["ferry_events_total", { route, outcome: "superseded" }, 2],
    ["ferry_operations_total", { route, op: "insert" }, 2],
    ["ferry_operations_total", { route, op: "replace" }, 1],
    ["ferry_operations_total", { route, op: "update" }, 1],
    ["ferry_operations_total", { route, op: "delete" }, 1],
  ]);
  settled({ counts: { ...NO_COUNTS, applied: 1, dead: -1 }, ops: [] });
  assert.deepEqual(counted, [["ferry_events_total", { route, outcome: "applied" }, 1]]);
});

test("a worker is ready where the target hears of it, all it holds is at work, and nothing is halted", () => {
  const running = new Map<string, never>();
  const held = { balanced: true, leaving: false, claimed: [] as string[], running };
  const state: WorkerState = { silentMs: 10, leaseMs: 3000, held, halted: new Set() };
  const why = (changed: Partial<WorkerState>): string | undefined => workerObstacle({ ...state, ...changed });
  assert.equal(why({}), undefined, "a worker that is left without a partition is ready for one");
  assert.equal(why({ silentMs: undefined }), "the target has not taken a report yet");
  assert.equal(why({ silentMs: 4000 }), "the target has taken no report for 4 s");
  assert.equal(why({ held: { ...held, balanced: false } }), "no partition is claimed yet");
  assert.equal(why({ held: { ...held, claimed: ["a/0", "a/1"] } }), "0 of 2 partitions are at work");
  assert.equal(why({ halted: new Set(["b", "a"]) }), "halted: a, b");
  assert.equal(why({ held: { ...held, leaving: true }, silentMs: undefined }), "stopping");
});
