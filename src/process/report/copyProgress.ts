import { translated } from "#io/mongo/errors.ts";
import type { StateDb } from "#io/state/stateDb.ts";
import { readCapture } from "#source/capture/captureStore.ts";
import { ofPlans, type RangeRecord } from "#source/copy/rangeRecord.ts";

type SeenRange = Pick<RangeRecord, "topic" | "index" | "documents" | "estimate" | "done">;

/** How far the copy of one collection is. Documents are counted where a range ends: on the target with `ferry run`, in Kafka else. */
export type CollectionCopy = Readonly<{
  topic: string;
  documents: number;
  /** What the collection had when the copy was planned, about; null where that was not noted. */
  estimate: number | null;
  ranges: number;
  rangesDone: number;
  /** How far each range is, in order, 0 to 1; of many ranges some stand together. */
  shares: readonly number[];
}>;

/** No more of them can be told apart. */
const MOST_SHARES = 240;

const shareOf = ({ documents, estimate, done }: SeenRange): number => {
  if (done) return 1;
  return estimate === undefined || estimate === 0 ? 0 : Math.min(0.99, Number(documents) / estimate);
};

const together = (shares: readonly number[]): readonly number[] => {
  const size = Math.ceil(shares.length / MOST_SHARES);
  if (size <= 1) return shares;
  return Array.from({ length: Math.ceil(shares.length / size) }, (_, n) => {
    const part = shares.slice(n * size, (n + 1) * size);
    return part.reduce((sum, share) => sum + share, 0) / part.length;
  });
};

const collectionCopy = (topic: string, ranges: readonly SeenRange[]): CollectionCopy => {
  const estimates = ranges.map(({ estimate }) => estimate);
  const sum = estimates.reduce((total: number, estimate) => total + (estimate ?? 0), 0);
  return {
    topic,
    documents: ranges.reduce((total, { documents }) => total + Number(documents), 0),
    estimate: estimates.includes(undefined) ? null : sum,
    ranges: ranges.length,
    rangesDone: ranges.filter(({ done }) => done).length,
    shares: together(ranges.map(shareOf)),
  };
};

/** Of ranges in any order: collections in the order of their names. */
export const copyOf = (ranges: readonly SeenRange[]): readonly CollectionCopy[] => {
  const sorted = ranges.toSorted((a, b) => a.index - b.index);
  const byTopic = [...Map.groupBy(sorted, ({ topic }) => topic)];
  return byTopic.sort(([a], [b]) => (a < b ? -1 : 1)).map(([topic, own]) => collectionCopy(topic, own));
};

/** The copy of ferry's own capture; nothing where connectors capture. @throws FERRY_MONGO_* */
export const readCopyProgress = async (state: StateDb): Promise<readonly CollectionCopy[]> => {
  const record = await readCapture(state);
  if (record === undefined) return [];
  const projection = { topic: 1, index: 1, documents: 1, estimate: 1, done: 1 };
  const ranges = await translated("reading the copy's ranges", () =>
    state
      .collection<RangeRecord>("copyRanges")
      .find(ofPlans([record.plan ?? null]), { projection })
      .toArray(),
  );
  return copyOf(ranges);
};
