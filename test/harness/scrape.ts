import assert from "node:assert/strict";
import parsePrometheusTextFormat from "parse-prometheus-text-format";
import { systemClock } from "#base/flow/clock.ts";
import { waitFor } from "#base/flow/retry.ts";
import { LABELS, METRICS, type MetricEntry } from "#base/observe/metricCatalogue.ts";
import type { FerryProcess } from "./worker.ts";

export type Series = Readonly<{ value: number; labels: Readonly<Record<string, string>> }>;
/** What a process told, by metric. */
export type Scrape = ReadonlyMap<string, Readonly<{ kind: string; series: readonly Series[] }>>;

/** The text of a scrape as a reader of Prometheus's format understands it. */
export const parsed = (text: string): Scrape =>
  new Map(
    parsePrometheusTextFormat(text).map(({ name, type, metrics }) => [
      name,
      {
        kind: type.toLowerCase(),
        series: metrics.map(({ value, labels = {} }) => ({ value: Number(value), labels })),
      },
    ]),
  );

const hasLabels = (series: Series, wanted: Readonly<Record<string, string>>): boolean =>
  Object.entries(wanted).every(([name, value]) => series.labels[name] === value);

/** The sum of a metric's series with these labels; undefined where there are none. */
export const total = (
  scrape: Scrape,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): number | undefined => {
  const found = scrape.get(name)?.series.filter((one) => hasLabels(one, labels)) ?? [];
  return found.length === 0 ? undefined : found.reduce((sum, { value }) => sum + value, 0);
};

/** Every metric of ferry's own is one of the catalogue: of its kind, with its labels, and with values that it knows. */
export const assertCatalogued = (scrape: Scrape): void => {
  for (const [name, { kind, series }] of scrape) {
    if (!name.startsWith("ferry_")) continue;
    const entry = (METRICS as Readonly<Record<string, MetricEntry>>)[name];
    assert.equal(entry?.kind, kind, name);
    for (const { labels, value } of series) {
      assert.deepEqual(Object.keys(labels).sort(), [...(entry?.labels ?? [])].sort(), name);
      assert.ok(Number.isFinite(value) && value >= 0, `${name} is ${value}`);
      for (const label of entry?.labels ?? []) {
        const { values } = LABELS[label] as { values?: readonly string[] };
        assert.ok(values === undefined || values.includes(labels[label] ?? ""), `${name}: ${label}=${labels[label]}`);
      }
    }
  }
};

/** Where a process says that it can be asked. */
export const metricsUrl = async (process: FerryProcess): Promise<string> => {
  await process.says(/metrics at http/);
  return /metrics at (http\S+)\/metrics/.exec(process.log())?.[1] ?? "";
};

/** Asks once, and checks what it is told. */
export const scrape = async (url: string): Promise<Scrape> => {
  const answer = await fetch(`${url}/metrics`, { signal: AbortSignal.timeout(5000) });
  assert.equal(answer.status, 200);
  const told = parsed(await answer.text());
  assertCatalogued(told);
  return told;
};

/** Waits until `/readyz` says this: `ready`, or what is in the way. @throws FERRY_TIMEOUT with the last answer */
export const readySays = (url: string, wanted: string): Promise<void> =>
  waitFor(
    async () => {
      const answer = await fetch(`${url}/readyz`);
      const said = (await answer.text()).trimEnd();
      assert.equal(answer.status, said === "ready" ? 200 : 503);
      return said === wanted ? { done: undefined } : { seen: said };
    },
    { what: `${url}/readyz to say "${wanted}"`, clock: systemClock, timeoutMs: 30_000, everyMs: 100 },
  );

/** Scrapes until what it tells is right. @throws FERRY_TIMEOUT with what was last seen of it */
export const scrapedUntil = (
  url: string,
  what: string,
  isRight: (scrape: Scrape) => boolean,
  shown: (scrape: Scrape) => unknown,
): Promise<Scrape> =>
  waitFor(
    async () => {
      const told = await scrape(url);
      return isRight(told) ? { done: told } : { seen: shown(told) };
    },
    { what, clock: systemClock, timeoutMs: 60_000, everyMs: 100 },
  );
