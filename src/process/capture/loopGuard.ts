import { isMongo, targetNamespace } from "#base/config/destination.ts";
import type { Route } from "#base/config/routes.ts";
import { FerryError, isFerry } from "#base/errors/ferryError.ts";
import { formatNamespace, type Namespace } from "#base/flow/types.ts";
import type { MongoClient } from "#io/mongo/connect.ts";
import { StateDb } from "#io/state/stateDb.ts";
import { routesOn } from "#route/table/routesOn.ts";
import { type CaptureRecord, CaptureStore } from "#source/capture/captureStore.ts";
import { type Deployment, isSameSource } from "#source/stream/deployment.ts";
import { Scope } from "#source/stream/scope.ts";
import { forwardState, reverseState } from "./stateNames.ts";

export type LoopDeps = Readonly<{
  source: MongoClient;
  target: Deployment;
  stateDb: string;
  routes: readonly Route[] | undefined;
  /** Of the source. */
  carried: readonly Namespace[];
}>;

/** Who may not read there has no run whose state lies there either, as far as can be known. */
const readElsewhere = (source: MongoClient, stateDb: string): Promise<CaptureRecord | undefined> =>
  new CaptureStore(new StateDb(source, stateDb), "", 0).read().catch((error) => {
    if (isFerry(error, "FERRY_MONGO_PRIVILEGE")) return undefined;
    throw error;
  });

/**
 * A run the other way over the same namespaces would carry back what this one carries, and this one that again, without end. Its
 * state lies on the side that it writes to: this run's source.
 * @throws FERRY_RUN_LOOP, FERRY_MONGO_*
 */
export const requireNoLoop = async ({ source, target, stateDb, routes, carried }: LoopDeps): Promise<void> => {
  for (const name of new Set([stateDb, reverseState(stateDb), forwardState(stateDb)])) {
    const other = await readElsewhere(source, name);
    if (other === undefined || other.lifecycle?.finalizedAt !== undefined) continue;
    if (!isSameSource(other.source, target)) continue;
    const scope = new Scope(other.scope, name);
    const both = carried.filter((ns) =>
      routesOn(routes, formatNamespace(ns)).some((route) => isMongo(route) && scope.has(targetNamespace(route))),
    );
    if (both.length === 0) continue;
    const names = both.slice(0, 5).map(formatNamespace).join(", ");
    throw new FerryError(
      "FERRY_RUN_LOOP",
      `a run from this target to this source (its state: ${name}) carries ${names}`,
    );
  }
};
