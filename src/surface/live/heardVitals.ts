import type { CounterName, LabelsOf, MetricName } from "#base/observe/metricCatalogue.ts";
import type { Sample, Vitals } from "#base/observe/vitals.ts";

/** A process's gauges and counters at one time, each added up over its series. */
export interface Heard {
  /** Undefined where nothing has shown it. */
  sum(name: MetricName, where?: (labels: Readonly<Record<string, string>>) => boolean): number | undefined;
  /** The largest of its series. */
  most(name: MetricName): number | undefined;
  /** Its labels where the value is not 0. */
  labelsOf(name: MetricName): readonly Readonly<Record<string, string>>[];
  /** Why parts do not work now, with their names. */
  obstacles: readonly string[];
  /** Has the process any part yet? */
  hasParts: boolean;
}

type Series = Readonly<{ labels: Readonly<Record<string, string>>; value: number }>;

const NOTHING: Disposable = { [Symbol.dispose]: () => undefined };

/** What a process tells of itself, for the person at its terminal; passed on to who else listens. */
export class HeardVitals implements Vitals {
  readonly #next: Vitals;
  readonly #counters = new Map<CounterName, Map<string, Series>>();
  readonly #shown = new Set<() => Iterable<Sample>>();
  readonly #parts = new Map<object, Readonly<{ name: string; obstacle: () => string | undefined }>>();

  constructor(next: Vitals) {
    this.#next = next;
  }

  count<N extends CounterName>(name: N, labels: LabelsOf<N>, n = 1): void {
    this.#next.count(name, labels, n);
    const series = this.#counters.get(name) ?? new Map<string, Series>();
    this.#counters.set(name, series);
    const id = Object.values(labels).join("\n");
    series.set(id, { labels, value: (series.get(id)?.value ?? 0) + n });
  }

  show(read: () => Iterable<Sample>): Disposable {
    const next = this.#next.show(read);
    this.#shown.add(read);
    return after(next, () => this.#shown.delete(read));
  }

  part(name: string, obstacle: () => string | undefined): Disposable {
    const next = this.#next.part(name, obstacle);
    const key = {};
    this.#parts.set(key, { name, obstacle });
    return after(next, () => this.#parts.delete(key));
  }

  /** Everything, as it is now. */
  hear(): Heard {
    const all = new Map<MetricName, Series[]>();
    for (const [name, series] of this.#counters) all.set(name, [...series.values()]);
    for (const read of this.#shown)
      for (const [name, labels, value] of read()) {
        const series = all.get(name) ?? [];
        all.set(name, series);
        series.push({ labels, value });
      }
    const parts = [...this.#parts.values()];
    return {
      sum: (name, where = () => true) => {
        const series = all.get(name)?.filter(({ labels }) => where(labels)) ?? [];
        return series.length === 0 ? undefined : series.reduce((sum, { value }) => sum + value, 0);
      },
      most: (name) => {
        const values = all.get(name)?.map(({ value }) => value) ?? [];
        return values.length === 0 ? undefined : Math.max(...values);
      },
      labelsOf: (name) => (all.get(name) ?? []).flatMap(({ labels, value }) => (value === 0 ? [] : [labels])),
      hasParts: parts.length > 0,
      obstacles: parts.flatMap(({ name, obstacle }) => {
        const why = obstacle();
        return why === undefined ? [] : [`${name}: ${why}`];
      }),
    };
  }
}

const after = (next: Disposable | undefined, end: () => void): Disposable => ({
  [Symbol.dispose]: () => {
    end();
    (next ?? NOTHING)[Symbol.dispose]();
  },
});
