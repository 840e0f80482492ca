import { Timestamp } from "bson";
import { translated } from "#io/mongo/errors.ts";
import type { StateDb } from "#io/state/stateDb.ts";
import type { ClaimRecords } from "./claimRecords.ts";
import type { RunRecord } from "./laneRecords.ts";
import { readRuns } from "./readLanes.ts";
import { takeFromOwners } from "./takeFromOwners.ts";

/**
 * Services of this topic write to the target from now on: what the source says after `at` is applied by none of its routes,
 * no matter which process captures it and which worker reads it. Their positions move on, so that nothing waits for them. May be repeated.
 * @param at clusterTime of the fence
 * @throws FERRY_MONGO_*
 */
export const switchRoutes = async (
  { state, claims }: Readonly<{ state: StateDb; claims: ClaimRecords }>,
  topic: string,
  routes: readonly string[],
  at: bigint,
): Promise<void> => {
  for (const route of routes) {
    // First noted, then fenced: a claim between the two has read it.
    await translated(`noting that services of ${topic} moved`, () =>
      state
        .collection<RunRecord>("runs")
        .updateOne({ _id: route }, { $set: { switched: { topic, at: new Timestamp(at) } } }, { upsert: true }),
    );
    await takeFromOwners(claims, route);
  }
};

/** Topics whose services write to the target, and after which time of the source. @throws FERRY_MONGO_* */
export const switchedTopics = async (state: StateDb): Promise<ReadonlyMap<string, bigint>> => {
  const runs = [...(await readRuns(state)).values()];
  return new Map(
    runs.flatMap(({ switched }) => (switched === undefined ? [] : [[switched.topic, switched.at.toBigInt()]])),
  );
};
