import { FerryError } from "#base/errors/ferryError.ts";
import type { MongoClient } from "#io/mongo/connect.ts";
import { type ReachDeps, reachMongo } from "#io/mongo/reach.ts";
import { StateDb } from "#io/state/stateDb.ts";
import { isSameDeployment, readDeployment } from "#source/stream/deployment.ts";

/** Where ferry's own database is. */
export type StateSettings = Readonly<{
  /** URI; the target where there is none. */
  state?: string | undefined;
  stateDb: string;
}>;

/**
 * ferry's own database for a process that writes to the target. In the target's deployment it is used on the target's own
 * connection, so that one transaction holds documents and positions.
 * @throws FERRY_STATE_APART where it is elsewhere; what `reachMongo` throws
 */
export const openState = async (
  target: MongoClient,
  { state: uri, stateDb }: StateSettings,
  deps: Omit<ReachDeps, "side">,
): Promise<StateDb> => {
  if (uri === undefined) return new StateDb(target, stateDb);
  const client = await reachMongo(uri, { ...deps, side: "state database" });
  try {
    if (!isSameDeployment(await readDeployment(client), await readDeployment(target)))
      throw new FerryError("FERRY_STATE_APART", "--state leads to another deployment than --target");
    return new StateDb(target, stateDb);
  } finally {
    await client.close();
  }
};
