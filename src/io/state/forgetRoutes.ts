import type { Document } from "bson";
import { FerryError } from "#base/errors/ferryError.ts";
import { quoted } from "#base/flow/quoted.ts";
import { translated } from "#io/mongo/errors.ts";
import type { StateDb } from "./stateDb.ts";

const BY_ROUTE = ["deadLetters", "drift", "conflicts", "lanes", "verificationFindings", "repairs"] as const;
const BY_ID = ["verification", "runs", "cognitoRoutes"] as const;
const BY_MARK = ["touched", "settled"] as const;

const forget = async (state: StateDb, route: string): Promise<void> => {
  // A letter is `route/partition/offset`, and one route's name may be the beginning of another's: `a` and `a/b`.
  const chunks: Document = { letter: { $regex: `^${quoted(route)}/\\d+/\\d+$` } };
  await state.collection("deadLetterChunks").deleteMany(chunks);
  for (const name of BY_ROUTE) await state.collection(name).deleteMany({ route });
  for (const name of BY_MARK) await state.collection(name).deleteMany({ "_id.route": route });
  for (const name of BY_ID) await state.collection<{ _id: string }>(name).deleteOne({ _id: route });
  // Last: while it exists, it shows that the route has started.
  await state.collection("partitions").deleteMany({ route });
};

/** A route that has begun, and which topic it reads; `topicId` tells topics of one name apart. */
export type KnownRoute = Readonly<{ route: string; topic: string; topicId?: string }>;

/**
 * Routes that have begun. What the source has now does not tell them: a collection may be gone, and come back to a position
 * of a log that is gone as well. @throws FERRY_MONGO_*
 */
export const knownRoutes = async (
  state: StateDb,
  isMeant: (route: KnownRoute) => boolean,
): Promise<readonly KnownRoute[]> => {
  const partitions = state.collection<KnownRoute>("partitions");
  const known = await translated("reading which routes have begun", () => partitions.find().toArray());
  return [...new Map(known.filter(isMeant).map((record) => [record.route, record])).values()];
};

/** @throws FERRY_STRUCTURE_BUSY while a worker owns a partition of one of the routes */
export const requireIdle = async (state: StateDb, routes: readonly string[]): Promise<void> => {
  const owned = { route: { $in: [...routes] }, owner: { $ne: null }, $expr: { $gt: ["$expiresAt", "$$NOW"] } };
  const busy = await translated("looking for workers", () => state.collection("partitions").findOne(owned));
  if (busy !== null)
    throw new FerryError(
      "FERRY_STRUCTURE_BUSY",
      `${busy["owner"]} works on partition ${busy["partition"]} of ${busy["route"]}`,
    );
};

/**
 * Forgets that routes have begun: their positions, books, dead letters and drift. The next worker reads their topics from the
 * beginning. Decisions about drift stay, and which user of a pool each document is: their accounts stay too. May be repeated.
 * @throws FERRY_STRUCTURE_BUSY while a worker owns one of their partitions
 */
export const forgetRoutes = (state: StateDb, routes: readonly string[]): Promise<void> =>
  translated("forgetting routes", async () => {
    await requireIdle(state, routes);
    for (const route of routes) await forget(state, route);
  });
