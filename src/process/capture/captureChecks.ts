import type { RunStore } from "#apply/lanes/runStore.ts";
import { isMongo, targetNamespace } from "#base/config/destination.ts";
import type { Route } from "#base/config/routes.ts";
import type { WorkerOptions } from "#base/config/workerOptions.ts";
import { FerryError } from "#base/errors/ferryError.ts";
import { seriesOf } from "#base/flow/buckets.ts";
import type { Namespace } from "#base/flow/types.ts";
import type { MongoClient } from "#io/mongo/connect.ts";
import { bucketSourceNeeds, bucketTargetNeeds, sourceNeeds, stateNeeds, writeNeeds } from "#io/mongo/needs.ts";
import { lackedPrivilege, type Need } from "#io/mongo/privileges.ts";
import { atLeast, OLDEST_VERSION } from "#io/mongo/serverVersion.ts";
import type { StateDb } from "#io/state/stateDb.ts";
import { policyOf, requireMirror } from "#route/table/targetPolicy.ts";
import type { SinkOf } from "#sink/open/openSink.ts";
import { type Deployment, isSameDeployment } from "#source/stream/deployment.ts";
import type { Scope } from "#source/stream/scope.ts";

/**
 * @param mayBeOne where nothing but ferry's own database is written to the target's server
 * @throws FERRY_SAME_SERVER, FERRY_SERVER_TOO_OLD, FERRY_SOURCE_STANDALONE
 */
export const checkDeployments = (
  source: Deployment,
  target: Deployment,
  { mayBeOne = false }: Readonly<{ mayBeOne?: boolean }> = {},
): void => {
  const wanted = OLDEST_VERSION.join(".");
  for (const [side, { version }] of [["source", source] as const, ["target", target] as const])
    if (!atLeast(version, OLDEST_VERSION))
      throw new FerryError("FERRY_SERVER_TOO_OLD", `the ${side} is MongoDB ${version}; ferry needs ${wanted} or newer`);
  if (!mayBeOne && isSameDeployment(source, target))
    throw new FerryError("FERRY_SAME_SERVER", "--source and --target lead to the same MongoDB deployment");
  if (source.kind === "standalone")
    throw new FerryError("FERRY_SOURCE_STANDALONE", `the source (MongoDB ${source.version}) is not a replica set`);
};

const lacking = async (side: "source" | "target", client: MongoClient, needs: readonly Need[]): Promise<void> => {
  const lacked = await lackedPrivilege(side, client, needs);
  if (lacked !== undefined) throw lacked;
};

/**
 * What must be granted before the sides can be looked at: a user who may not list databases sees fewer of them, not an error.
 * @throws FERRY_MONGO_PRIVILEGE naming what is missing first
 */
export const checkLooking = async (
  { source, state }: Readonly<{ source: MongoClient; state: StateDb }>,
  scope: Scope,
): Promise<void> => {
  await lacking("source", source, sourceNeeds(scope.watch.db));
  await lacking("target", state.client, stateNeeds(state.name));
};

export type RightsDeps = Readonly<{
  source: MongoClient;
  target: MongoClient;
  /** Of the source. */
  carried: readonly Namespace[];
  routes: readonly Route[];
  stateDb: string;
}>;

const isBuckets = (ns: Namespace): boolean => seriesOf(ns) !== undefined;

/** What the documents need besides. @throws FERRY_MONGO_PRIVILEGE naming what is missing first */
export const checkRights = async ({ source, target, carried, routes, stateDb }: RightsDeps): Promise<void> => {
  await lacking("source", source, carried.filter(isBuckets).flatMap(bucketSourceNeeds));
  // Without routes it writes its own state only.
  const namespaces = routes.filter(isMongo).map(targetNamespace);
  const dbs = [...new Set(namespaces.map(({ db }) => db))];
  const written = namespaces.filter(isBuckets).flatMap(bucketTargetNeeds);
  await lacking("target", target, [...stateNeeds(stateDb), ...dbs.flatMap(writeNeeds), ...written]);
};

/** Routes that have not begun yet and whose target has documents, without a policy. @throws FERRY_TARGET_NOT_EMPTY, FERRY_TARGET_POLICY */
export const checkEmpty = async (
  sinkOf: SinkOf,
  runs: RunStore,
  routes: readonly Route[],
  options: WorkerOptions,
): Promise<void> => {
  const known = await runs.readRuns();
  for (const route of routes) {
    const { policy, named } = policyOf(route, options);
    requireMirror(route, policy);
    if (known.get(route.name)?.begun !== undefined || named) continue;
    const sink = sinkOf(route);
    if ((await sink.look()).occupied)
      throw new FerryError("FERRY_TARGET_NOT_EMPTY", `${sink.name} has documents, and no conflict policy is named`);
  }
};
