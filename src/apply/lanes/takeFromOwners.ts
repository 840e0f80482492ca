import { Long } from "bson";
import { translated } from "#io/mongo/errors.ts";
import type { StateDb } from "#io/state/stateDb.ts";
import type { LaneRecord, PartitionRecord } from "./laneRecords.ts";

/**
 * Takes a route's partitions from their owners: sessions ended, epochs raised, so that no write of theirs succeeds, and the
 * next owner reads what is noted of the route first. @param but a partition that keeps its owner. @throws FERRY_MONGO_*
 */
export const takeFromOwners = (state: StateDb, route: string, but?: number): Promise<void> =>
  translated(`fencing the partitions of ${route}`, async () => {
    const partitions = state.collection<PartitionRecord>("partitions");
    const lanes = state.collection<LaneRecord>("lanes");
    for (const { _id, partition, sessions } of await partitions.find({ route }).toArray()) {
      if (partition === but) continue;
      if (sessions.length > 0) await state.client.db("admin").command({ killSessions: sessions.map((id) => ({ id })) });
      const fenced = await partitions.findOneAndUpdate(
        { _id },
        { $inc: { epoch: Long.ONE }, $set: { owner: null, expiresAt: null, sessions: [] } },
        { returnDocument: "after" },
      );
      if (fenced !== null) await lanes.updateMany({ route, partition }, { $set: { epoch: fenced.epoch } });
    }
  });
