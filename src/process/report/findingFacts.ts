import { bsonText } from "#base/bson/text.ts";
import { isMongo, targetNamespace } from "#base/config/destination.ts";
import type { Route } from "#base/config/routes.ts";
import { parseNamespace } from "#base/flow/types.ts";
import type { MongoClient } from "#io/mongo/connect.ts";
import { readByKeys } from "#io/mongo/rawReads.ts";
import type { FindingRecord } from "#proof/verify/verificationStore.ts";
import { RouteFilter } from "#route/filter/routeFilter.ts";
import { keyBytes } from "./keyOfText.ts";

/** What verification found wrong of one document, as JSON tells it. */
export type FindingFacts = Readonly<{
  route: string;
  /** The `_id` as extended JSON. */
  key: unknown;
  kind: FindingRecord["kind"];
  how: string | null;
  path: string | null;
  foundAt: Date;
}>;

export const findingFacts = ({ route, key, kind, how, path, foundAt }: FindingRecord): FindingFacts => ({
  ...{ route, kind, foundAt },
  key: (JSON.parse(bsonText(key.buffer, { canonical: true })) as { _id: unknown })._id,
  how: how ?? null,
  path: path ?? null,
});

/** One document as it should be on the target, by the source and the route's rules, and as it is. Null where there is none. */
export type BothVersions = Readonly<{ expected: unknown; actual: unknown }>;

const jsonOf = (raw: Uint8Array | undefined): unknown =>
  raw === undefined ? null : JSON.parse(bsonText(raw, { canonical: true }));

/** @param key an `_id` as extended JSON @throws FERRY_USAGE, FERRY_CONFIG, FERRY_MONGO_* */
export const bothVersions = async (
  route: Route,
  key: string,
  { source, target }: Readonly<{ source: MongoClient; target: MongoClient }>,
): Promise<BothVersions> => {
  const keys = [keyBytes(key)];
  const from = parseNamespace(route.from);
  const [here] = await readByKeys(source, from.db, from.coll, keys);
  const expected = here === undefined ? undefined : new RouteFilter(route).document(here);
  if (!isMongo(route)) return { expected: jsonOf(expected), actual: null };
  const to = targetNamespace(route);
  const [there] = await readByKeys(target, to.db, to.coll, keys);
  return { expected: jsonOf(expected), actual: jsonOf(there) };
};
