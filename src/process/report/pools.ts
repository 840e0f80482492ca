import { translated } from "#io/mongo/errors.ts";
import type { StateDb } from "#io/state/stateDb.ts";
import { readSinkTallies, type SinkTally } from "#sink/open/sinkBooks.ts";
import { readCapture } from "#source/capture/captureStore.ts";
import { ofPlans, type RangeRecord } from "#source/copy/rangeRecord.ts";

/**
 * A route to a pool, whose quotas dictate how long it takes. `leftMs`: for the documents that wait, at the pace of lately; null where
 * nothing tells how many they are.
 */
export type PoolLine = SinkTally & Readonly<{ leftMs: number | null }>;

/** Routes to pools, and what the copy of a `ferry run` has still to bring of each topic; undefined: it does not copy. */
export type PoolBooks = Readonly<{
  tallies: readonly SinkTally[];
  copying: ReadonlyMap<string, number> | undefined;
}>;

/** Ranges of an earlier version have no estimate: then nothing is known of their topic. */
const leftOf = (ranges: readonly Pick<RangeRecord, "estimate" | "documents" | "done">[]): number =>
  ranges.reduce(
    (sum, { estimate = Number.NaN, documents, done }) => sum + (done ? 0 : Math.max(0, estimate - Number(documents))),
    0,
  );

/** A range moves on when its documents are at the targets of all routes, and so at the slowest. */
const readCopying = async (state: StateDb): Promise<PoolBooks["copying"]> => {
  const record = await readCapture(state);
  if (record?.mode !== "direct" || record.phase !== "copy") return undefined;
  const ranges = await translated("reading the copy's ranges", () =>
    state
      .collection<RangeRecord>("copyRanges")
      .find(ofPlans([record.plan ?? null]), { projection: { topic: 1, estimate: 1, documents: 1, done: 1 } })
      .toArray(),
  );
  const left = [...Map.groupBy(ranges, ({ topic }) => topic)].map(([topic, some]) => [topic, leftOf(some)] as const);
  return new Map(left.filter(([, documents]) => !Number.isNaN(documents)));
};

/** @throws FERRY_MONGO_* */
export const readPoolBooks = async (state: StateDb): Promise<PoolBooks> => {
  const tallies = await readSinkTallies(state);
  return { tallies, copying: tallies.length === 0 ? undefined : await readCopying(state) };
};

type RouteLane = Readonly<{ route: string; topic: string; lag: number }>;

/** @param lanes of all routes @param kafka is it known how far each lane is behind its topic? */
export const poolLines = (
  { tallies, copying }: PoolBooks,
  { lanes, kafka }: Readonly<{ lanes: readonly RouteLane[]; kafka: boolean }>,
): PoolLine[] =>
  tallies.map((tally) => {
    const own = lanes.filter(({ route }) => route === tally.route);
    const waiting = kafka ? own.reduce((sum, { lag }) => sum + lag, 0) : copying?.get(own[0]?.topic ?? "");
    return { ...tally, leftMs: waiting === undefined ? null : (waiting / Math.max(tally.perSecond, 0.01)) * 1000 };
  });
