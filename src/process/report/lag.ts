import type { KafkaClient } from "#io/kafka/client.ts";
import { createDecoder } from "#io/wire/decode.ts";
import { lastMsOf } from "#source/stream/resumeToken.ts";
import type { CaptureLine, LaneLine, WorkerLine } from "./status.ts";

/** Enough for one record of any size: Kafka answers with a whole batch at least. */
const ONE_RECORD_BYTES = 1024;

/**
 * When the oldest record that waits in Kafka was made, by the source's time, ms; of a copied document when it was captured.
 * Undefined where none waits. @throws FERRY_KAFKA_*
 */
export const oldestWaiting = async (kafka: KafkaClient, lanes: readonly LaneLine[]): Promise<number | undefined> => {
  const behind = lanes.filter(({ lag }) => lag > 0);
  const firsts = Map.groupBy(behind, ({ topic, partition }) => `${topic}/${partition}`);
  const decode = createDecoder();
  const times: number[] = [];
  for (const group of firsts.values()) {
    const [{ topic, partition }] = group as [LaneLine];
    const offset = Math.min(...group.map((lane) => lane.offset));
    const what = { topic: await kafka.topicOf(topic), partition, offset, maxBytes: ONE_RECORD_BYTES, maxWaitMs: 1 };
    const [record] = (await kafka.fetch(what)).records;
    if (record === undefined) continue;
    const { event } = decode(record);
    times.push(event?.origin === "stream" && event.at !== 0n ? lastMsOf(event.at) : record.timestampMs);
  }
  return times.length === 0 ? undefined : Math.min(...times);
};

/** What each part knows of the oldest change that is not on the target. */
export type LagParts = Readonly<{
  own: CaptureLine | null;
  workers: readonly WorkerLine[];
  /** As `oldestWaiting` tells. */
  waitingMs: number | undefined;
  /** clusterTime of what a connector has not brought to its topic. */
  pendingAt: bigint | undefined;
  /** ms since the epoch. */
  now: number;
}>;

/** Age of the oldest change of the source that is not on the target, ms; null where no part knows. */
export const lagOfAll = ({ own, workers, waitingMs, pendingAt, now }: LagParts): number | null => {
  // The lanes of `ferry run` read from memory what its capture has already counted.
  const applying = own?.mode === "direct" ? [] : workers.filter(({ alive }) => alive).map(({ report }) => report.lagMs);
  const ages = [
    own?.lagMs ?? null,
    ...applying,
    waitingMs === undefined ? null : now - waitingMs,
    pendingAt === undefined ? null : now - lastMsOf(pendingAt),
  ].filter((ms) => ms !== null);
  return ages.length === 0 ? null : Math.max(0, ...ages);
};
