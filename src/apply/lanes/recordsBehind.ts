import type { Route } from "#base/config/routes.ts";
import { routesOn } from "#route/table/routesOn.ts";
import { type LaneRecord, type PartitionRecord, partitionId } from "./laneRecords.ts";

/** Next offset of each partition of a topic. */
export type Ends = ReadonlyMap<string, readonly number[]>;

type Lanes = readonly Pick<LaneRecord, "route" | "topic" | "partition" | "slice" | "offset">[];
type Partitions = readonly Pick<PartitionRecord, "_id" | "slices" | "route" | "topic">[];

/**
 * Records before the ends that some lane has not passed; undefined where a partition that has some has not all of its lanes.
 * Every route that reads the topic must have passed them: those of the configuration, and those that have begun.
 */
export const recordsBehind = (
  ends: Ends,
  routes: readonly Route[] | undefined,
  { lanes, partitions }: Readonly<{ lanes: Lanes; partitions: Partitions }>,
): number | undefined => {
  const slices = new Map(partitions.map((record) => [record._id, record.slices]));
  let behind = 0;
  for (const [topic, offsets] of ends) {
    const begun = partitions.filter((record) => record.topic === topic).map(({ route }) => route);
    const readers = new Set([...routesOn(routes, topic).map(({ name }) => name), ...begun]);
    for (const route of readers)
      for (const [partition, end] of offsets.entries()) {
        if (end === 0) continue;
        const wanted = slices.get(partitionId(route, partition)) ?? 0;
        const mine = lanes.filter(
          (lane) => lane.route === route && lane.partition === partition && lane.slice < wanted,
        );
        if (wanted === 0 || mine.length < wanted) return undefined;
        behind += Math.max(0, ...mine.map(({ offset }) => end - Number(offset)));
      }
  }
  return behind;
};
