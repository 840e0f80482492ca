import type { ClaimRecords } from "./claimRecords.ts";

/**
 * Takes a route's partitions from their owners: sessions ended, epochs raised, so that no write of theirs succeeds, and the
 * next owner reads what is noted of the route first. @param but a partition that keeps its owner. @throws FERRY_MONGO_*
 */
export const takeFromOwners = async (records: ClaimRecords, route: string, but?: number): Promise<void> => {
  for (const place of await records.partitionsOf(route)) {
    if (place.partition === but) continue;
    if (place.sessions.length > 0) await records.endSessions(place.sessions);
    const expelled = await records.expel(place);
    if (expelled !== undefined) await records.fenceAll(expelled);
  }
};
