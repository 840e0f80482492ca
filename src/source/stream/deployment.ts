import { FerryError, isFerry } from "#base/errors/ferryError.ts";
import { type MongoClient, readTopology, type Topology } from "#io/mongo/connect.ts";
import { translated } from "#io/mongo/errors.ts";

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

/** Do both lead to one deployment, whatever hosts and names they were reached by? */
export const isSameDeployment = (one: Deployment, other: Deployment): boolean => {
  const sameSet = one.setName !== undefined && one.setName === other.setName;
  const sameHost = one.hosts.some((host) => other.hosts.includes(host));
  const sameProcess = one.process !== "" && one.process === other.process;
  const sameCluster = one.clusterId !== undefined && one.clusterId === other.clusterId;
  return sameProcess || sameCluster || (sameSet && sameHost);
};

/** By what a source is known again. */
export type SourceIdentity = { id?: string; setName: string; hosts: string[] };

/** As records keep it. */
export const sourceOf = ({ id, setName, hosts }: Deployment): SourceIdentity => ({
  ...(id === undefined ? {} : { id }),
  setName: setName ?? "",
  hosts: [...hosts],
});

/** By the cluster's id where both have one; otherwise a member must be the same. */
export const isSameSource = ({ id, hosts, setName }: SourceIdentity, found: Deployment): boolean =>
  id !== undefined && found.id !== undefined
    ? id === found.id
    : setName === (found.setName ?? "") && (hosts.length === 0 || hosts.some((host) => found.hosts.includes(host)));

/** Is this the source that the run began with? @throws FERRY_CAPTURE_OTHER */
export const requireSameSource = (known: SourceIdentity, found: Deployment): void => {
  if (isSameSource(known, found)) return;
  const { hosts, setName } = known;
  const now = found.hosts.length === 0 ? "a sharded cluster" : `${found.setName} (${found.hosts.join(", ")})`;
  throw new FerryError(
    "FERRY_CAPTURE_OTHER",
    `the state on this target belongs to a capture of ${setName || "a sharded cluster"} (${hosts.join(", ")}), and --source leads to ${now}`,
  );
};

/** The source, proven to be the one that the events come from. @throws FERRY_CAPTURE_OTHER, FERRY_MONGO_* */
export type ProvenSource = () => Promise<MongoClient>;

/**
 * Proves a source when it is first asked for something: another one would answer that a document or a collection is gone, and
 * the change would be lost.
 * @param known the source of the events; undefined where ferry did not start who wrote them: then nothing can be compared
 */
export const provenSource = (source: MongoClient, known: () => Promise<SourceIdentity | undefined>): ProvenSource => {
  let isProven = false;
  return async () => {
    if (isProven) return source;
    const identity = await known();
    if (identity !== undefined) requireSameSource(identity, await readDeployment(source));
    isProven = true;
    return source;
  };
};
