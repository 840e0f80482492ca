import { translated } from "#io/mongo/errors.ts";
import type { StateDb } from "#io/state/stateDb.ts";
import type { LaneRecord, PartitionRecord, RunRecord } from "./laneRecords.ts";

/** Every lane and every partition, by route, partition and slice. @throws FERRY_MONGO_* */
export const readLanes = async (
  state: StateDb,
): Promise<Readonly<{ lanes: readonly LaneRecord[]; partitions: readonly PartitionRecord[] }>> => {
  const order = { route: 1, partition: 1, slice: 1 } as const;
  const [lanes, partitions] = await translated("reading the lanes", () =>
    Promise.all([
      state.collection<LaneRecord>("lanes").find().sort(order).toArray(),
      state.collection<PartitionRecord>("partitions").find().toArray(),
    ]),
  );
  return { lanes, partitions };
};

/** Where every lane stands. @throws FERRY_MONGO_* */
export const readPositions = async (state: StateDb): Promise<Readonly<{ topic: string; offset: number }>[]> => {
  const lanes = state.collection<LaneRecord>("lanes");
  const all = await translated("reading the lanes' positions", () =>
    lanes.find({}, { projection: { topic: 1, offset: 1 } }).toArray(),
  );
  return all.map(({ topic, offset }) => ({ topic, offset: Number(offset) }));
};

/** What is noted of every route, by its name. @throws FERRY_MONGO_* */
export const readRuns = async (state: StateDb): Promise<ReadonlyMap<string, RunRecord>> => {
  const all = await translated("reading the runs", () =>
    state.collection<RunRecord>("runs").find().sort({ _id: 1 }).toArray(),
  );
  return new Map(all.map((run) => [run._id, run]));
};
