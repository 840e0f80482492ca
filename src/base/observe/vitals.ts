import type { CounterName, GaugeName, LabelsOf } from "./metricCatalogue.ts";

/** The value of one series of a gauge now. */
export type Sample = {
  [N in GaugeName]: readonly [name: N, labels: LabelsOf<N>, value: number];
}[GaugeName];

/**
 * What a process tells of itself while it works, to those who ask over HTTP. Passed along like a clock and a logger; a process
 * that is not asked has `NO_VITALS`. Nothing here may wait or ask a server: a scrape reads what the process knows.
 */
export interface Vitals {
  /** Adds `n` (1 where it is left out, never negative) to a counter. */
  count<N extends CounterName>(name: N, labels: LabelsOf<N>, n?: number): void;
  /** Until it is disposed of, `read` is asked for gauges' values at each scrape. */
  show(read: () => Iterable<Sample>): Disposable;
  /**
   * Until it is disposed of, the process has this part. It is ready where it has a part, and no part has an obstacle: half a
   * sentence about why it does not work now.
   */
  part(name: string, obstacle: () => string | undefined): Disposable;
}

const NOTHING: Disposable = { [Symbol.dispose]: () => undefined };

/** For a process that is not asked. */
export const NO_VITALS: Vitals = { count: () => undefined, show: () => NOTHING, part: () => NOTHING };
