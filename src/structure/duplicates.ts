import { type Document, EJSON } from "bson";
import type { FerryError } from "#errors/ferryError.ts";
import type { Namespace } from "#flow/types.ts";
import type { MongoClient } from "#mongo/connect.ts";
import { duplicateOf, translated, violationsOf } from "#mongo/errors.ts";
import type { IndexSpec } from "./model.ts";
import type { Duplicate } from "./records.ts";

/** So many values are named, with so many documents each: enough to see what is wrong. */
const VALUES = 20;
const DOCUMENTS = 5;

const text = (value: unknown): string => EJSON.stringify(value as Document, { relaxed: true });

const describe = async (
  client: MongoClient,
  ns: Namespace,
  key: IndexSpec["key"],
  ids: readonly unknown[],
): Promise<Duplicate> => {
  const projection = Object.fromEntries([["_id", 0], ...key.map(([path]) => [path, 1])]) as Document;
  const [first] = ids;
  const found = await client
    .db(ns.db)
    .collection(ns.coll)
    .findOne({ _id: first } as Document, { projection });
  return { values: text(found ?? {}), ids: ids.slice(0, DOCUMENTS).map(text), count: ids.length };
};

/** Values that more than one document has, and which documents, from the server's refusal of a unique index. @throws FERRY_MONGO_* */
export const duplicatesIn = (
  client: MongoClient,
  ns: Namespace,
  key: IndexSpec["key"],
  refusal: FerryError,
): Promise<readonly Duplicate[]> =>
  translated(`looking for duplicates in ${ns.db}.${ns.coll}`, async () => {
    const named = violationsOf(refusal).slice(0, VALUES);
    if (named.length > 0) return Promise.all(named.map((ids) => describe(client, ns, key, ids)));
    const value = duplicateOf(refusal);
    if (value === undefined) return [];
    const collection = client.db(ns.db).collection(ns.coll);
    const found = await collection.find(value, { projection: { _id: 1 }, limit: DOCUMENTS }).toArray();
    return [{ values: text(value), ids: found.map(({ _id }) => text(_id)), count: found.length }];
  });
