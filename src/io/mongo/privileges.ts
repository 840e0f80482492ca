import { FerryError } from "#base/errors/ferryError.ts";
import { BUCKETS } from "#base/flow/buckets.ts";
import type { MongoClient } from "./connect.ts";
import { translated } from "./errors.ts";

/**
 * Actions needed on one resource. `collection` "" is every collection of the database, and `system.buckets.` all of its time
 * series' buckets, which are not among the former; `db` "" is every database.
 */
export type Need = Readonly<{
  db: string;
  collection: string;
  /** On the cluster itself: `db` and `collection` say nothing then. */
  cluster?: true;
  actions: readonly string[];
  why: string;
}>;

type Resource = Readonly<{
  db?: string;
  collection?: string;
  /** Of this time series, or of any where it is empty. */
  system_buckets?: string;
  cluster?: boolean;
  anyResource?: boolean;
}>;
type Privilege = Readonly<{ resource: Resource; actions: readonly string[] }>;

/** `connectionStatus` with privileges; `users` is empty where the server asks for no authentication. */
export const readPrivileges = async (
  client: MongoClient,
): Promise<Readonly<{ users: readonly string[]; privileges: readonly Privilege[] }>> => {
  const reply = await translated("reading the user's privileges", () =>
    client.db("admin").command({ connectionStatus: 1, showPrivileges: true }),
  );
  const info = reply["authInfo"] as {
    authenticatedUsers: { user: string; db: string }[];
    authenticatedUserPrivileges?: Privilege[];
  };
  return {
    users: info.authenticatedUsers.map(({ user, db }) => `${user}@${db}`),
    privileges: info.authenticatedUserPrivileges ?? [],
  };
};

const seriesIn = ({ collection }: Pick<Need, "collection">): string | undefined =>
  collection.startsWith(BUCKETS) ? collection.slice(BUCKETS.length) : undefined;

/** As a role spells it. */
export const resourceOf = (need: Pick<Need, "db" | "collection" | "cluster">): Resource => {
  if (need.cluster === true) return { cluster: true };
  const series = seriesIn(need);
  return series === undefined ? { db: need.db, collection: need.collection } : { db: need.db, system_buckets: series };
};

/** Does a resource that was granted cover the one that is needed? Source: MongoDB manual, "Resource Document"; and 6.0.5, asked. */
const covers = (granted: Resource, need: Need): boolean => {
  if (granted.anyResource === true) return true;
  if (need.cluster === true || granted.cluster === true) return need.cluster === granted.cluster;
  const series = seriesIn(need);
  if (granted.system_buckets !== undefined)
    return (
      series !== undefined && ["", need.db].includes(granted.db ?? "") && ["", series].includes(granted.system_buckets)
    );
  if (granted.db === undefined || granted.collection === undefined) return false;
  const dbMatches = granted.db === need.db || (granted.db === "" && !["local", "config"].includes(need.db));
  const system = need.collection.startsWith("system.") || need.db === "local";
  return dbMatches && (granted.collection === need.collection || (granted.collection === "" && !system));
};

/** Of the needs, what is not granted; actions that are granted are left out of each. */
export const missingPrivileges = (needs: readonly Need[], privileges: readonly Privilege[]): Need[] =>
  needs.flatMap((need) => {
    const granted = new Set(
      privileges.filter(({ resource }) => covers(resource, need)).flatMap(({ actions }) => actions),
    );
    const missing = need.actions.filter((action) => !granted.has(action) && !granted.has("anyAction"));
    return missing.length === 0 ? [] : [{ ...need, actions: missing }];
  });

/** As in a sentence. */
const placeOf = ({ db, collection, cluster }: Pick<Need, "db" | "collection" | "cluster">): string => {
  if (cluster === true) return "the cluster";
  return `${db === "" ? "every database" : db}${collection === "" ? "" : `.${collection}`}`;
};

/** The first of the needs that the client's user lacks, as an error; undefined where all are granted. @throws FERRY_MONGO_* */
export const lackedPrivilege = async (
  side: "source" | "target",
  client: MongoClient,
  needs: readonly Need[],
): Promise<FerryError | undefined> => {
  const { users, privileges } = await readPrivileges(client);
  const [first] = users.length === 0 ? [] : missingPrivileges(needs, privileges);
  if (first === undefined) return undefined;
  return new FerryError(
    "FERRY_MONGO_PRIVILEGE",
    `${users.join(", ")} lacks ${first.actions.join(", ")} on ${placeOf(first)} of the ${side}: ${first.why}`,
  );
};

const spelt = (resource: Resource): string =>
  `{ ${Object.entries(resource)
    .map(([name, value]) => `${name}: ${JSON.stringify(value)}`)
    .join(", ")} }`;

/** A `createRole` for mongosh that grants these, ready to paste. */
export const roleScript = (role: string, needs: readonly Need[]): string => {
  const privileges = needs.map(
    ({ actions, why, ...need }) =>
      `    { resource: ${spelt(resourceOf(need))}, actions: ${JSON.stringify(actions)} }, // ${why}`,
  );
  return [
    'db.getSiblingDB("admin").createRole({',
    `  role: ${JSON.stringify(role)},`,
    "  privileges: [",
    ...privileges,
    "  ],",
    "  roles: [],",
    "})",
  ].join("\n");
};
