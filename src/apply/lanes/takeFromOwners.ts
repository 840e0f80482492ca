import type { ClaimRecords, PartitionState } from "./claimRecords.ts";

/**
 * Takes a route's partitions from their owners: sessions ended, epochs raised, so that no write of theirs succeeds, and the
 * next owner reads what is noted of the route first. @param but a partition that keeps its owner. @throws FERRY_MONGO_*
 */
export const takeFromOwners = async (records: ClaimRecords, route: string, but?: number): Promise<void> => {
  for (const place of await records.partitionsOf(route))
    if (place.partition !== but) await takeFromOwner(records, place);
};

/**
 * Before a new owner of the capture reads where the lanes stand: none of a former one's moves them any more, and no former one
 * claims them again. What its lanes wrote after that look would be skipped: its successor gives the same offsets to other records.
 * @param captureEpoch of the new owner. @throws FERRY_MONGO_*
 */
export const inheritLanes = async (records: ClaimRecords, captureEpoch: number): Promise<void> => {
  for (const place of await records.partitionsOf()) await takeFromOwner(records, place, captureEpoch);
};

const takeFromOwner = async (records: ClaimRecords, place: PartitionState, captureEpoch?: number): Promise<void> => {
  if (place.sessions.length > 0) await records.endSessions(place.sessions);
  const expelled = await records.expel(place, captureEpoch);
  if (expelled !== undefined) await records.fenceAll(expelled);
};
