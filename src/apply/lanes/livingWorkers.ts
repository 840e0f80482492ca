import type { StateDb } from "#io/state/stateDb.ts";
import type { WorkerRecord } from "./laneRecords.ts";

/** A worker that has not been heard of for this long counts as gone, ms. */
export const ALIVE_MS = 10_000;

/** How many workers were heard of lately, by the server's clock. */
export const livingWorkers = (state: StateDb): Promise<number> =>
  state
    .collection<WorkerRecord>("workers")
    .countDocuments({ $expr: { $gt: ["$seenAt", { $subtract: ["$$NOW", ALIVE_MS] }] } });
