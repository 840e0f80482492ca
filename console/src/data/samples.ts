import type { Overview } from "./operations.ts";

/** What charts show of one moment. */
export type Sample = Readonly<{ at: number; behindMs: number | null; perSecond: number; waiting: number }>;

/** So far back charts reach, ms. */
export const REACH_MS = 15 * 60_000;

/** While the copy runs, what it brings counts: workers report what they apply, a direct copy does not go through them. */
const perSecondOf = ({ workers, copy, capture }: Overview): number =>
  capture?.phase === "copy" ? Math.max(workers.appliedPerSecond, copy?.perSecond ?? 0) : workers.appliedPerSecond;

export const sampleOf = (overview: Overview): Sample => ({
  at: Date.parse(overview.at),
  behindMs: overview.lagMs,
  perSecond: perSecondOf(overview),
  waiting: overview.lanes.waiting,
});

/** With one more, without those that are too old. Nothing has changed since the last one: it holds up to now. */
export const withSample = (samples: readonly Sample[], sample: Sample): readonly Sample[] => [
  ...samples.filter(({ at }) => at > sample.at - REACH_MS && at < sample.at),
  sample,
];
