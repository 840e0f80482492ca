import assert from "node:assert/strict";
import { test } from "node:test";
import { type LagParts, lagOfAll } from "#process/report/lag.ts";

const NOTHING: LagParts = { own: null, workers: [], waitingMs: undefined, pendingAt: undefined, now: 100_000 };

const own = (mode: "direct" | "kafka", lagMs: number) => ({ mode, lagMs }) as LagParts["own"];
const worker = (lagMs: number | null, alive = true) => ({ alive, report: { lagMs } }) as LagParts["workers"][number];

test("lag is the age of the oldest change that any part knows to be missing on the target", () => {
  assert.equal(lagOfAll(NOTHING), null, "nothing tells");
  assert.equal(lagOfAll({ ...NOTHING, own: own("kafka", 3), workers: [worker(70)] }), 70);
  assert.equal(lagOfAll({ ...NOTHING, own: own("direct", 3), workers: [worker(70)] }), 3, "counted by its capture");
  assert.equal(lagOfAll({ ...NOTHING, workers: [worker(70, false), worker(null)] }), null, "of the past");
  assert.equal(lagOfAll({ ...NOTHING, workers: [worker(70, false)], waitingMs: 60_000 }), 40_000, "waits in Kafka");
  assert.equal(lagOfAll({ ...NOTHING, workers: [worker(5)], pendingAt: 50n << 32n }), 49_001, "not in Kafka yet");
  assert.equal(lagOfAll({ ...NOTHING, waitingMs: 100_500 }), 0, "clocks differ");
});
