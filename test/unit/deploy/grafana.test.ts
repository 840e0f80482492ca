/** The dashboard and the alerts without Prometheus and Grafana: each expression by Prometheus's own grammar, each name by the catalogue. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { parser } from "@prometheus-io/lezer-promql";
import { parse } from "yaml";
import { METRICS, type MetricName } from "#base/observe/metricCatalogue.ts";

type Rule = Readonly<{
  alert: string;
  expr: string;
  labels: { severity: string };
  annotations: Record<string, string>;
}>;
type Panel = Readonly<{
  id: number;
  title: string;
  targets?: readonly { expr: string }[];
  gridPos: Record<string, number>;
}>;

const rules = (
  parse(readFileSync("deploy/grafana/alerts.yaml", "utf8")) as { groups: { rules: Rule[] }[] }
).groups.flatMap(({ rules }) => rules);
const { panels } = JSON.parse(readFileSync("deploy/grafana/dashboard.json", "utf8")) as { panels: Panel[] };
const expressions: readonly (readonly [where: string, expr: string])[] = [
  ...rules.map(({ alert, expr }) => [alert, expr] as const),
  ...panels.flatMap(({ title, targets = [] }) => targets.map(({ expr }) => [title, expr] as const)),
];

/** What an expression names. `errors`: places that the grammar does not know. */
const namesIn = (expr: string): Readonly<{ metrics: string[]; labels: string[]; errors: number }> => {
  const found = { metrics: [] as string[], labels: [] as string[], errors: 0 };
  parser.parse(expr).iterate({
    enter: ({ type, from, to, node }) => {
      const text = expr.slice(from, to);
      if (type.isError) found.errors++;
      if (type.name === "Identifier" && node.parent?.type.name === "VectorSelector") found.metrics.push(text);
      if (type.name === "LabelName") found.labels.push(text);
    },
  });
  return found;
};

/** Every process of ferry has these as well; Prometheus adds the two labels. */
const OF_PROCESSES = ["process_resident_memory_bytes", "process_cpu_seconds_total"];
const OF_SCRAPES = ["instance", "job"];

test("every expression is one of PromQL, and a wrong one is found", () => {
  assert.deepEqual(
    expressions.filter(([, expr]) => namesIn(expr).errors > 0),
    [],
  );
  assert.ok(namesIn("sum by (route (ferry_lag_seconds)").errors > 0);
  assert.deepEqual(namesIn('max by (route) (rate(a_total{b="c"}[5m])) > 0 unless on (d) e').metrics, ["a_total", "e"]);
});

test("every metric that the dashboard and the alerts name is one of the catalogue, with these labels", () => {
  for (const [where, expr] of expressions) {
    const { metrics, labels } = namesIn(expr);
    assert.ok(metrics.length > 0, where);
    assert.deepEqual(
      metrics.filter((name) => !(name in METRICS) && !OF_PROCESSES.includes(name)),
      [],
      where,
    );
    const known = metrics.flatMap((name): readonly string[] => METRICS[name as MetricName]?.labels ?? []);
    assert.deepEqual(
      labels.filter((label) => !known.includes(label) && !OF_SCRAPES.includes(label)),
      [],
      where,
    );
  }
});

test("the dashboard shows every metric; panels have ids and places of their own", () => {
  const shown = new Set(panels.flatMap(({ targets = [] }) => targets.flatMap(({ expr }) => namesIn(expr).metrics)));
  assert.deepEqual(
    Object.keys(METRICS).filter((name) => !shown.has(name)),
    [],
  );
  assert.equal(new Set(panels.map(({ id }) => id)).size, panels.length);
  assert.equal(new Set(panels.map(({ gridPos: { x, y } }) => `${x}/${y}`)).size, panels.length);
});

test("every alert says what is the case and what to do, and the page has it", () => {
  const page = readFileSync("docs/56-metrics.md", "utf8");
  for (const { alert, labels, annotations } of rules) {
    assert.match(alert, /^Ferry[A-Z]\w+$/);
    assert.match(labels.severity, /^(critical|warning|info)$/, alert);
    assert.ok(annotations["summary"] !== undefined && annotations["description"]?.endsWith("."), alert);
    assert.ok(page.includes(`\`${alert}\``), `${alert} in docs/56-metrics.md`);
  }
  const named = [...page.matchAll(/`(Ferry\w+)`/g)].map(([, name]) => name);
  assert.deepEqual(
    named.filter((name) => !rules.some(({ alert }) => alert === name)),
    [],
  );
});
