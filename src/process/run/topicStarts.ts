import type { TopicStart } from "#io/log/memoryLog.ts";
import type { CaptureRecord } from "#source/capture/captureStore.ts";

/** Where a lane of a topic stands. */
type LanePosition = Readonly<{ topic: string; offset: number }>;

/**
 * Where each topic of the log in memory begins in this process. Its records went with the process before it: the lanes and the
 * capture's record tell where both were.
 */
export const topicStarts = (
  { phase, topics }: Pick<CaptureRecord, "phase" | "topics">,
  lanes: readonly LanePosition[],
): ((topic: string) => TopicStart) => {
  const saved = new Map(topics.map(({ name, next }) => [name, Number(next)]));
  const positions = Map.groupBy(lanes, ({ topic }) => topic);
  return (topic) => {
    const offsets = positions.get(topic)?.map(({ offset }) => offset) ?? [0];
    const next = saved.get(topic) ?? 0;
    const high = Math.max(next, ...offsets);
    // A copy is not repeated in the same order: what it brings now comes after everything that lanes have seen.
    if (phase === "copy") return { first: Math.min(...offsets), next: high, high };
    return { first: next, next, high };
  };
};
