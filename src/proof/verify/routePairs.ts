import { createHash } from "node:crypto";
import type { DeadLetterStore } from "#apply/deadletter/store.ts";
import { identityOf } from "#base/bson/identity.ts";
import type { Route } from "#base/config/routes.ts";
import { FerryError } from "#base/errors/ferryError.ts";
import { parseNamespace } from "#base/flow/types.ts";
import type { MongoClient } from "#io/mongo/connect.ts";
import { RouteFilter } from "#route/filter/routeFilter.ts";
import type { Pair } from "./verification.ts";

export type PairDeps = Readonly<{
  source: MongoClient;
  target: MongoClient;
  letters: DeadLetterStore;
  /** Everything up to this clusterTime of the source is on the target. */
  applied: () => Promise<bigint | undefined>;
}>;

/** Where the target's documents are not what the filter alone makes of the source's. @throws FERRY_VERIFY_ROUTE */
const requireOwned = ({ name, conflict = "mirror", drift }: Route): void => {
  if (conflict !== "mirror")
    throw new FerryError("FERRY_VERIFY_ROUTE", `${name}: under ${conflict} services of the target own a part of it`);
  if (drift.newField !== "pass" || drift.typeChange !== "pass")
    throw new FerryError("FERRY_VERIFY_ROUTE", `${name}: its drift policy decides which new fields arrive`);
};

const isPlain = ({ fields, where }: Route): boolean => fields === undefined && where === undefined;

/** What is to be compared for a route: its rules applied to the source's documents. @throws FERRY_VERIFY_ROUTE */
export const pairOf = (route: Route, { source, target, letters, applied }: PairDeps): Pair => {
  requireOwned(route);
  const filter = isPlain(route) ? undefined : new RouteFilter(route);
  return {
    route: route.name,
    source: { client: source, ns: parseNamespace(route.from) },
    target: { client: target, ns: parseNamespace(route.to) },
    expect: filter === undefined ? undefined : (document) => filter.document(document),
    does: undefined,
    rules: createHash("sha256")
      .update(JSON.stringify([route.fields ?? null, route.where ?? null]))
      .digest("hex"),
    applied,
    excused: async (keys) => {
      const held = await letters.held(route.name, 0);
      return new Set(keys.map(identityOf).filter((identity) => held.has(identity)));
    },
  };
};
