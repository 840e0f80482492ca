/** Lanes as pictures show them. */
export type LagKind = "" | "waits" | "late";

/** More than this waits for a while, records. */
const MANY = 10_000;

export const lagKind = (lag: number): LagKind => (lag === 0 ? "" : lag < MANY ? "waits" : "late");

/** One more is seen where few wait, and a million still fits: by powers of ten. */
export const lagShare = (lag: number): number => Math.min(1, Math.log10(1 + lag) / 6);

type SeenLane = Readonly<{ route: string; topic: string; partition: number; lag: number }>;

/** What waits in each partition for the lane that is the farthest back, in order. */
export const partitionsOf = (lanes: readonly SeenLane[]): readonly Readonly<{ key: string; lag: number }>[] => {
  const found = new Map<string, number>();
  for (const { topic, partition, lag } of lanes) {
    const key = `${topic}/${String(partition).padStart(5, "0")}`;
    found.set(key, Math.max(found.get(key) ?? 0, lag));
  }
  return [...found].sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, lag]) => ({ key, lag }));
};
