import type { MongoClient } from "#io/mongo/connect.ts";
import type { WorkerRecord } from "./records.ts";

/** A worker that has not been heard of for this long counts as gone, ms. */
export const ALIVE_MS = 10_000;

/** How many workers were heard of lately, by the server's clock. */
export const livingWorkers = (client: MongoClient, stateDb: string): Promise<number> =>
  client
    .db(stateDb)
    .collection<WorkerRecord>("workers")
    .countDocuments({ $expr: { $gt: ["$seenAt", { $subtract: ["$$NOW", ALIVE_MS] }] } });
