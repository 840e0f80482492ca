import { switchedTopics } from "#apply/lanes/switchedRoutes.ts";
import { isMongo, targetNamespace } from "#base/config/destination.ts";
import type { Route } from "#base/config/routes.ts";
import { FerryError, isFerry } from "#base/errors/ferryError.ts";
import { formatNamespace, type Namespace } from "#base/flow/types.ts";
import type { MongoClient } from "#io/mongo/connect.ts";
import { databasesWithState } from "#io/state/knownState.ts";
import { StateDb } from "#io/state/stateDb.ts";
import { routesOn } from "#route/table/routesOn.ts";
import { readCapture } from "#source/capture/captureStore.ts";
import { readConnectors } from "#source/connector/connectorStore.ts";
import { type Deployment, isSameSource } from "#source/stream/deployment.ts";
import { Scope } from "#source/stream/scope.ts";

export type LoopDeps = Readonly<{
  source: MongoClient;
  target: Deployment;
  /** This run's own. */
  state: StateDb;
  routes: readonly Route[] | undefined;
  /** Of the source. */
  carried: readonly Namespace[];
}>;

/** Does a run carry this namespace? */
type Carries = (ns: Namespace) => boolean;

const NOTHING: Carries = () => false;

/** What runs that remember here carry from this deployment, by ferry's own capture or by connectors. */
const carriedFrom = async (from: Deployment, state: StateDb): Promise<Carries> => {
  const [own, connectors, switched] = await Promise.all([
    readCapture(state),
    readConnectors(state),
    switchedTopics(state),
  ]);
  const isOver = own === undefined || own.lifecycle?.finalizedAt !== undefined || !isSameSource(own.source, from);
  const scope = isOver ? undefined : new Scope(own.scope, state.name);
  const topics = new Set(
    connectors.flatMap(({ source, topics }) => (source !== undefined && isSameSource(source, from) ? topics : [])),
  );
  return (ns) => {
    const name = formatNamespace(ns);
    return !switched.has(name) && (topics.has(name) || scope?.has(ns) === true);
  };
};

/** Who may not read there has no run whose state lies there either, as far as can be known. */
const readElsewhere = (from: Deployment, state: StateDb): Promise<Carries> =>
  carriedFrom(from, state).catch((error) => {
    if (isFerry(error, "FERRY_MONGO_PRIVILEGE")) return NOTHING;
    throw error;
  });

/**
 * A run the other way over the same namespaces would carry back what this one carries, and this one that again, without end. Its
 * state lies on the side that it writes to: this run's source, in whatever database it was told to use. What this run has
 * carried until services moved is not carried any more.
 * @throws FERRY_RUN_LOOP, FERRY_MONGO_*
 */
export const requireNoLoop = async ({ source, target, state, routes, carried }: LoopDeps): Promise<void> => {
  const switched = await switchedTopics(state);
  const mine = carried.filter((ns) => !switched.has(formatNamespace(ns)));
  for (const name of await databasesWithState(source)) {
    const carries = await readElsewhere(target, new StateDb(source, name));
    const both = mine.filter((ns) =>
      routesOn(routes, formatNamespace(ns)).some((route) => isMongo(route) && carries(targetNamespace(route))),
    );
    if (both.length === 0) continue;
    const names = both.slice(0, 5).map(formatNamespace).join(", ");
    throw new FerryError(
      "FERRY_RUN_LOOP",
      `a run from this target to this source (its state: ${name}) carries ${names}`,
    );
  }
};
