import { assert } from "#base/errors/ferryError.ts";
import { requireUnfenced } from "#cutover/fence/pastFence.ts";
import { type MongoClient, readTopology, type ServerSide, type Topology } from "#io/mongo/connect.ts";
import { mongoServer, throughOutages } from "#io/mongo/outages.ts";
import { type ReachDeps, reachMongo, sayIgnored } from "#io/mongo/reach.ts";
import { StateDb } from "#io/state/stateDb.ts";
import { siteOf, type TargetSite } from "#io/state/targetSite.ts";
import { isSameDeployment, readDeployment } from "#source/stream/deployment.ts";

/** Where a process writes, and where ferry's own database is. */
export type TargetSettings = Readonly<{
  /** URI. It may be left out where no route goes to a collection: the server of `state` stands in, and gets ferry's own database only. */
  target?: string | undefined;
  /** URI of ferry's own database; the target where there is none. */
  state?: string | undefined;
  stateDb: string;
}>;

/** ferry's own database, open. */
type OpenState = Readonly<{
  state: StateDb;
  /** The other deployment that it is on: no transaction holds documents and what ferry remembers of them. Undefined: the target's. */
  apart: Topology | undefined;
}>;

/** The target, or what stands in for it, and ferry's own database. Disposing of it closes every connection. */
export type OpenTarget = AsyncDisposable &
  OpenState &
  Readonly<{
    client: MongoClient;
    /** As in a sentence: `the target`. */
    side: ServerSide;
    topology: Topology;
    site: TargetSite;
  }>;

type OpeningDeps = Omit<ReachDeps, "side">;

/** The MongoDB server that a process cannot do without besides the source. */
export const placeOf = ({ target, state }: TargetSettings): Readonly<{ uri: string; side: ServerSide }> => {
  if (target !== undefined) return { uri: target, side: "target" };
  assert(state !== undefined, "neither a target nor a state database is given");
  return { uri: state, side: "state database" };
};

/** In the target's deployment it is used on the target's own connection, so that one transaction holds documents and positions. */
const openState = async (
  client: MongoClient,
  { target, state: uri, stateDb }: TargetSettings,
  deps: OpeningDeps,
  clients: AsyncDisposableStack,
): Promise<OpenState> => {
  const beside = { state: new StateDb(client, stateDb), apart: undefined };
  if (uri === undefined || target === undefined) return beside;
  await using opened = new AsyncDisposableStack();
  const other = await reachMongo(uri, { ...deps, pastValidators: false, side: "state database" });
  opened.defer(() => other.close());
  const own = await readDeployment(other);
  if (isSameDeployment(own, await readDeployment(client))) return beside;
  clients.use(opened.move());
  return { state: new StateDb(other, stateDb), apart: own };
};

/**
 * Connects a process that stays to where it writes and remembers.
 * @throws what `reachMongo` throws; FERRY_TARGET_FENCED, FERRY_MONGO_*
 */
export const openTarget = async (settings: TargetSettings, deps: OpeningDeps): Promise<OpenTarget> => {
  const { uri, side } = placeOf(settings);
  await using clients = new AsyncDisposableStack();
  const client = await reachMongo(uri, { ...deps, side });
  clients.defer(() => client.close());
  const servers = [mongoServer(`the ${side}`, client)];
  const { topology, memory } = await throughOutages(`looking at the ${side}`, servers, deps, async () => {
    await requireUnfenced(client, side);
    return { topology: await readTopology(client), memory: await openState(client, settings, deps, clients) };
  });
  const kept = clients.move();
  return {
    ...{ client, side, topology, ...memory },
    site: siteOf(topology, memory.apart),
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
};

/** Says which options of a process's URIs ferry sets aside. */
export const sayIgnoredOptions = (
  { source, ...settings }: TargetSettings & Readonly<{ source?: string | undefined }>,
  logger: ReachDeps["logger"],
): void => {
  const { uri, side } = placeOf(settings);
  sayIgnored("source", source, logger);
  sayIgnored(side, uri, logger);
};
