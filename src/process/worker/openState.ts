import type { MongoClient, Topology } from "#io/mongo/connect.ts";
import { type ReachDeps, reachMongo } from "#io/mongo/reach.ts";
import { StateDb } from "#io/state/stateDb.ts";
import { isSameDeployment, readDeployment } from "#source/stream/deployment.ts";

/** Where ferry's own database is. */
export type StateSettings = Readonly<{
  /** URI; the target where there is none. */
  state?: string | undefined;
  stateDb: string;
}>;

/** ferry's own database, open. Disposing of it closes the connection that it may have of its own. */
export type OpenState = AsyncDisposable &
  Readonly<{
    state: StateDb;
    /** The other deployment that it is on: no transaction holds documents and what ferry remembers of them. Undefined: the target's. */
    apart: Topology | undefined;
  }>;

/**
 * ferry's own database for a process that stays. In the target's deployment it is used on the target's own connection, so that
 * one transaction holds documents and positions.
 * @throws what `reachMongo` throws; FERRY_MONGO_*
 */
export const openState = async (
  target: MongoClient,
  { state: uri, stateDb }: StateSettings,
  deps: Omit<ReachDeps, "side">,
): Promise<OpenState> => {
  const onTarget = {
    state: new StateDb(target, stateDb),
    apart: undefined,
    [Symbol.asyncDispose]: async () => undefined,
  };
  if (uri === undefined) return onTarget;
  await using clients = new AsyncDisposableStack();
  const client = await reachMongo(uri, { ...deps, side: "state database" });
  clients.defer(() => client.close());
  const own = await readDeployment(client);
  if (isSameDeployment(own, await readDeployment(target))) return onTarget;
  const kept = clients.move();
  return { state: new StateDb(client, stateDb), apart: own, [Symbol.asyncDispose]: () => kept.disposeAsync() };
};
