import type { Clock } from "#flow/clock.ts";
import type { KafkaClient } from "#kafka/client.ts";
import { topicFor } from "#kafka/topicName.ts";
import { type LaneRecord, type PartitionRecord, partitionId } from "#lanes/records.ts";
import type { MongoClient } from "#mongo/connect.ts";
import { translated } from "#mongo/errors.ts";

export type DrainDeps = Readonly<{
  kafka: KafkaClient;
  target: MongoClient;
  stateDb: string;
  /** By their namespaces. */
  topics: readonly string[];
  clock: Clock;
  signal: AbortSignal;
  /** Records that workers have not applied yet; undefined where no lane stands for some of them. */
  report: (behind: number | undefined) => void;
}>;

/** How often the lanes are looked at, ms. */
const LOOK_MS = 500;

type Ends = ReadonlyMap<string, readonly number[]>;

/** Records before the ends that some lane has not passed; undefined where nobody ever read a partition that has some. */
const behindOf = async ({ target, stateDb, topics }: DrainDeps, ends: Ends): Promise<number | undefined> => {
  const db = target.db(stateDb);
  const about = { topic: { $in: [...topics] } };
  const [lanes, partitions] = await translated("reading the lanes", () =>
    Promise.all([
      db.collection<LaneRecord>("lanes").find(about).toArray(),
      db.collection<PartitionRecord>("partitions").find(about).toArray(),
    ]),
  );
  const slices = new Map(partitions.map((record) => [record._id, record.slices]));
  let behind = 0;
  for (const topic of topics)
    for (const [partition, end] of (ends.get(topic) ?? []).entries()) {
      if (end === 0) continue;
      const mine = lanes.filter(
        (lane) =>
          lane.topic === topic &&
          lane.partition === partition &&
          lane.slice < (slices.get(partitionId(lane.route, partition)) ?? 0),
      );
      if (mine.length === 0) return undefined;
      behind += Math.max(0, ...mine.map(({ offset }) => end - Number(offset)));
    }
  return behind;
};

/**
 * Waits until the lanes of all routes have passed what is in the topics now. Nobody captures into them any more.
 * @throws FERRY_KAFKA_*, FERRY_MONGO_*, the signal's reason
 */
export const workersDrained = async (deps: DrainDeps): Promise<void> => {
  const { kafka, topics, clock, signal, report } = deps;
  const existing = new Set(await kafka.topics());
  const ends = new Map<string, readonly number[]>();
  for (const topic of topics)
    if (existing.has(topicFor(topic))) ends.set(topic, await kafka.offsets(topicFor(topic), "latest"));
  for (;;) {
    signal.throwIfAborted();
    const behind = await behindOf(deps, ends);
    if (behind === 0) return;
    report(behind);
    await clock.sleep(LOOK_MS, signal);
  }
};
