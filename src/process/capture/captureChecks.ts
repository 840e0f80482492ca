import type { RunStore } from "#apply/lanes/runStore.ts";
import type { Route } from "#base/config/routes.ts";
import type { WorkerOptions } from "#base/config/workerOptions.ts";
import { FerryError, isFerry } from "#base/errors/ferryError.ts";
import { seriesOf } from "#base/flow/buckets.ts";
import { type Namespace, parseNamespace } from "#base/flow/types.ts";
import { type MongoClient, readTopology, type Topology } from "#io/mongo/connect.ts";
import { translated } from "#io/mongo/errors.ts";
import {
  bucketSourceNeeds,
  bucketTargetNeeds,
  missingPrivileges,
  type Need,
  readPrivileges,
  sourceNeeds,
  stateNeeds,
  targetNeeds,
} from "#io/mongo/privileges.ts";
import { atLeast, OLDEST_VERSION } from "#io/mongo/serverVersion.ts";
import { policyOf, requireMirror } from "#route/table/targetPolicy.ts";
import { MongoSink } from "#sink/mongo/mongoSink.ts";
import type { CaptureRecord } from "#source/capture/captureStore.ts";
import type { Scope } from "#source/stream/scope.ts";

/** Who answers at a URI. */
export type Deployment = Topology &
  Readonly<{
    hosts: readonly string[];
    process: string;
    clusterId: string | undefined;
    /** The cluster's own id, of a sharded cluster or of a replica set; undefined where it may not be read. */
    id: string | undefined;
  }>;

/** `config.version` of a sharded cluster is the same behind each of its routers; undefined where it may not be read. */
const readClusterId = async (client: MongoClient): Promise<string | undefined> => {
  const version = client.db("config").collection("version");
  const found = await translated("asking which cluster answers", () => version.findOne({})).catch((error) => {
    if (isFerry(error, "FERRY_MONGO_PRIVILEGE")) return null;
    throw error;
  });
  return found === null || found["clusterId"] === undefined ? undefined : String(found["clusterId"]);
};

/** A replica set's id is given once and survives other hosts and names; undefined where it may not be read. */
const readSetId = async (client: MongoClient): Promise<string | undefined> => {
  const config = await translated("asking which replica set answers", () =>
    client.db("admin").command({ replSetGetConfig: 1 }),
  ).catch((error) => {
    if (isFerry(error, "FERRY_MONGO_PRIVILEGE", "FERRY_MONGO_COMMAND", "FERRY_MONGO_REJECTED")) return undefined;
    throw error;
  });
  const id = (config?.["config"] as { settings?: { replicaSetId?: unknown } } | undefined)?.settings?.replicaSetId;
  return id === undefined ? undefined : String(id);
};

export const readDeployment = async (client: MongoClient): Promise<Deployment> => {
  const topology = await readTopology(client);
  const hello = await translated("asking who answers", () => client.db("admin").command({ hello: 1 }));
  const process = String((hello["topologyVersion"] as { processId?: unknown } | undefined)?.processId ?? "");
  const clusterId = topology.kind === "sharded" ? await readClusterId(client) : undefined;
  const id = topology.kind === "replicaSet" ? await readSetId(client) : clusterId;
  return { ...topology, id, hosts: (hello["hosts"] as string[] | undefined) ?? [], process, clusterId };
};

type Source = CaptureRecord["source"];

/** As a capture's record keeps it. */
export const sourceOf = ({ id, setName, hosts }: Deployment): Source => ({
  ...(id === undefined ? {} : { id }),
  setName: setName ?? "",
  hosts: [...hosts],
});

/**
 * Is this the source that the run began with? By the cluster's id where both have one; otherwise a member must be the same.
 * @throws FERRY_CAPTURE_OTHER
 */
export const requireSameSource = ({ id, hosts, setName }: Source, found: Deployment): void => {
  const isSame =
    id !== undefined && found.id !== undefined
      ? id === found.id
      : setName === (found.setName ?? "") && (hosts.length === 0 || hosts.some((host) => found.hosts.includes(host)));
  if (isSame) return;
  const now = found.hosts.length === 0 ? "a sharded cluster" : `${found.setName} (${found.hosts.join(", ")})`;
  throw new FerryError(
    "FERRY_CAPTURE_OTHER",
    `this target remembers a capture of ${setName || "a sharded cluster"} (${hosts.join(", ")}), and --source leads to ${now}`,
  );
};

/** @throws FERRY_SAME_SERVER, FERRY_SERVER_TOO_OLD, FERRY_SOURCE_STANDALONE */
export const checkDeployments = (source: Deployment, target: Deployment): void => {
  const wanted = OLDEST_VERSION.join(".");
  for (const [side, { version }] of [["source", source] as const, ["target", target] as const])
    if (!atLeast(version, OLDEST_VERSION))
      throw new FerryError("FERRY_SERVER_TOO_OLD", `the ${side} is MongoDB ${version}; ferry needs ${wanted} or newer`);
  const sameSet = source.setName !== undefined && source.setName === target.setName;
  const sameHost = source.hosts.some((host) => target.hosts.includes(host));
  const sameProcess = source.process !== "" && source.process === target.process;
  const sameCluster = source.clusterId !== undefined && source.clusterId === target.clusterId;
  if (sameProcess || sameCluster || (sameSet && sameHost))
    throw new FerryError("FERRY_SAME_SERVER", "--source and --target lead to the same MongoDB deployment");
  if (source.kind === "standalone")
    throw new FerryError("FERRY_SOURCE_STANDALONE", `the source (MongoDB ${source.version}) is not a replica set`);
};

const lacking = async (side: string, client: MongoClient, needs: readonly Need[]): Promise<void> => {
  const { users, privileges } = await readPrivileges(client);
  const [first] = users.length === 0 ? [] : missingPrivileges(needs, privileges);
  if (first === undefined) return;
  const { db, collection, actions, why } = first;
  const where = `${db === "" ? "every database" : db}${collection === "" ? "" : `.${collection}`}`;
  throw new FerryError(
    "FERRY_MONGO_PRIVILEGE",
    `${users.join(", ")} lacks ${actions.join(", ")} on ${where} of the ${side}: ${why}`,
  );
};

/**
 * What must be granted before the sides can be looked at: a user who may not list databases sees fewer of them, not an error.
 * @throws FERRY_MONGO_PRIVILEGE naming what is missing first
 */
export const checkLooking = async (
  { source, target }: Readonly<{ source: MongoClient; target: MongoClient }>,
  scope: Scope,
  stateDb: string,
): Promise<void> => {
  await lacking("source", source, sourceNeeds(scope.watch.db));
  await lacking("target", target, stateNeeds(stateDb));
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
  const namespaces = routes.map(({ to }) => parseNamespace(to));
  const dbs = new Set(routes.length === 0 ? [stateDb] : namespaces.map(({ db }) => db));
  const written = namespaces.filter(isBuckets).flatMap(bucketTargetNeeds);
  await lacking("target", target, [...[...dbs].flatMap((db) => targetNeeds(db, stateDb)), ...written]);
};

/** Routes that have not begun yet and whose target has documents that nobody has said a word about. @throws FERRY_TARGET_NOT_EMPTY, FERRY_TARGET_POLICY */
export const checkEmpty = async (
  target: MongoClient,
  runs: RunStore,
  routes: readonly Route[],
  options: WorkerOptions,
): Promise<void> => {
  const known = await runs.readRuns();
  for (const route of routes) {
    const { policy, named } = policyOf(route, options);
    requireMirror(route, policy);
    if (known.get(route.name)?.begun !== undefined || named) continue;
    const sink = new MongoSink(target, parseNamespace(route.to));
    if ((await sink.look()).occupied)
      throw new FerryError("FERRY_TARGET_NOT_EMPTY", `${sink.name} has documents, and no conflict policy is named`);
  }
};
