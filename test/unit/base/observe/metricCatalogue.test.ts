import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { LABELS, METRICS, type MetricEntry } from "#base/observe/metricCatalogue.ts";

const metrics = Object.entries(METRICS) as [string, MetricEntry][];

test("names are as Prometheus wants them: counters alone end in _total, units are base units", () => {
  for (const [name, { kind, help }] of metrics) {
    assert.match(name, /^ferry(_[a-z]+)+$/);
    assert.equal(name.endsWith("_total"), kind === "counter", name);
    assert.doesNotMatch(name, /_(ms|milliseconds|minutes|mb|kb|percent)(_|$)/, name);
    assert.match(help, /^[A-Z0-9].*\.$/, `${name}: what it means is a sentence`);
  }
});

test("every label is one of some metric, and says what its values are", () => {
  const used = new Set(metrics.flatMap(([, { labels }]) => labels));
  assert.deepEqual(Object.keys(LABELS).sort(), [...used].sort());
  for (const [name, { meaning }] of Object.entries(LABELS)) assert.match(meaning, /^[A-Zf].*\.$/, name);
});

test("every metric of the catalogue is told somewhere", () => {
  const told = readdirSync("src", { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts") && !name.endsWith("metricCatalogue.ts"))
    .map((name) => readFileSync(join("src", name), "utf8"))
    .join("\n");
  assert.deepEqual(
    metrics.filter(([name]) => !told.includes(`"${name}"`)).map(([name]) => name),
    [],
  );
});
