import assert from "node:assert/strict";
import { test } from "node:test";
import { PromVitals } from "#process/metrics/promVitals.ts";
import { parsed, total } from "../../../harness/scrape.ts";

const vitals = (): PromVitals => new PromVitals({ command: "worker", version: "1.2.3" });

test("counters add up, gauges are asked at each scrape, and a series goes with what it was about", async () => {
  const one = vitals();
  let lag = 1.5;
  const shown = one.show(() => [
    ["ferry_lag_seconds", { route: 'a."b\\' }, lag],
    ["ferry_held_lanes", { route: "c" }, 4],
  ]);
  one.count("ferry_events_total", { route: "c", outcome: "applied" }, 3);
  one.count("ferry_events_total", { route: "c", outcome: "applied" }, 2);
  one.count("ferry_events_total", { route: "c", outcome: "dead" });
  one.count("ferry_event_bytes_total", { route: "c" }, 0);
  const first = parsed(await one.text());
  assert.equal(total(first, "ferry_lag_seconds"), 1.5);
  assert.equal(total(first, "ferry_events_total", { route: "c", outcome: "applied" }), 5);
  assert.equal(total(first, "ferry_events_total", { outcome: "dead" }), 1);
  assert.equal(total(first, "ferry_event_bytes_total"), 0);
  assert.equal(total(first, "ferry_build_info", { command: "worker", version: "1.2.3" }), 1);
  assert.ok((total(first, "process_resident_memory_bytes") ?? 0) > 1e6);
  lag = 2;
  assert.equal(total(parsed(await one.text()), "ferry_lag_seconds"), 2);
  shown[Symbol.dispose]();
  const last = parsed(await one.text());
  assert.equal(total(last, "ferry_lag_seconds"), undefined);
  assert.equal(total(last, "ferry_events_total", { outcome: "dead" }), 1);
});

test("a process is ready where it has a part, and no part has an obstacle", async () => {
  const one = vitals();
  assert.deepEqual(one.readiness(), { isReady: false, obstacles: ["starting, or waiting for a server"] });
  let why: string | undefined = "no lease";
  using _capture = one.part("capture", () => why);
  const worker = one.part("worker", () => "stopping");
  assert.deepEqual(one.readiness().obstacles, ["capture: no lease", "worker: stopping"]);
  worker[Symbol.dispose]();
  why = undefined;
  assert.deepEqual(one.readiness(), { isReady: true, obstacles: [] });
  assert.equal(total(parsed(await one.text()), "ferry_ready"), 1);
});
