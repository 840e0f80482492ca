import { Counter, collectDefaultMetrics, Gauge, Registry } from "prom-client";
import { type CounterName, type GaugeName, type LabelsOf, METRICS } from "#base/observe/metricCatalogue.ts";
import type { Sample, Vitals } from "#base/observe/vitals.ts";

/** Is the process ready, and if not, why: a sentence for each part. */
export type ProcessReadiness = Readonly<{ isReady: boolean; obstacles: readonly string[] }>;

const removable = <T>(all: Set<T>, one: T): Disposable => {
  all.add(one);
  return { [Symbol.dispose]: () => void all.delete(one) };
};

type ProcessPart = Readonly<{ name: string; obstacle: () => string | undefined }>;

/**
 * Vitals in Prometheus's text format. Counters are kept here; gauges exist for the moment of a scrape, so that a series goes with
 * what it was about.
 */
export class PromVitals implements Vitals {
  readonly #registry = new Registry();
  readonly #counters = new Map<CounterName, Counter>();
  readonly #shown = new Set<() => Iterable<Sample>>();
  readonly #parts = new Set<ProcessPart>();

  /** @param about what is true of the process as a whole */
  constructor(about: LabelsOf<"ferry_build_info">) {
    collectDefaultMetrics({ register: this.#registry });
    this.show(() => [
      ["ferry_build_info", about, 1],
      ["ferry_ready", {}, this.readiness().isReady ? 1 : 0],
    ]);
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  count<N extends CounterName>(name: N, labels: LabelsOf<N>, n = 1): void {
    let known = this.#counters.get(name);
    if (known === undefined) {
      known = new Counter({ name, ...described(name), registers: [this.#registry] });
      this.#counters.set(name, known);
    }
    known.inc(labels, n);
  }

  show(read: () => Iterable<Sample>): Disposable {
    return removable(this.#shown, read);
  }

  part(name: string, obstacle: () => string | undefined): Disposable {
    return removable(this.#parts, { name, obstacle });
  }

  readiness(): ProcessReadiness {
    const obstacles = [...this.#parts].flatMap(({ name, obstacle }) => {
      const why = obstacle();
      return why === undefined ? [] : [`${name}: ${why}`];
    });
    if (this.#parts.size === 0) obstacles.push("starting, or waiting for a server");
    return { isReady: obstacles.length === 0, obstacles };
  }

  /** Everything, as a scrape gets it. */
  async text(): Promise<string> {
    const now = new Registry();
    const gauges = new Map<GaugeName, Gauge>();
    for (const read of this.#shown)
      for (const [name, labels, value] of read()) {
        let gauge = gauges.get(name);
        if (gauge === undefined) {
          gauge = new Gauge({ name, ...described(name), registers: [now] });
          gauges.set(name, gauge);
        }
        gauge.set(labels, value);
      }
    return `${await this.#registry.metrics()}\n${await now.metrics()}`;
  }
}

const described = (name: CounterName | GaugeName): { help: string; labelNames: string[] } => ({
  help: METRICS[name].help,
  labelNames: [...METRICS[name].labels],
});
