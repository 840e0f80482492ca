import type { RawValue } from "#base/bson/rawValue.ts";
import { bsonText } from "#base/bson/text.ts";
import type { FerryError } from "#base/errors/ferryError.ts";
import type { Namespace } from "#base/flow/types.ts";
import type { CollectionAt } from "#io/mongo/collections.ts";
import type { Document, MongoClient } from "#io/mongo/connect.ts";
import { duplicateOf, violationsOf } from "#io/mongo/errors.ts";
import { readAll } from "#io/mongo/rawCursor.ts";
import { type IndexSpec, keyParts } from "#structure/model/model.ts";
import { optionsIn } from "#structure/model/options.ts";
import type { Duplicate } from "#structure/model/structureRecords.ts";

/** So many values are named, with so many documents each: enough to see what is wrong. */
const VALUES = 20;
const DOCUMENTS = 5;

const text = (value: RawValue): string => JSON.stringify(value);

const find = (
  { client, ns: { db, coll } }: CollectionAt,
  filter: Document,
  projection: Document,
): Promise<Uint8Array[]> =>
  readAll(
    {
      client,
      db,
      command: { find: coll, filter, projection, limit: DOCUMENTS },
      phase: `looking for duplicates in ${db}.${coll}`,
    },
    DOCUMENTS,
  );

const describe = async (place: CollectionAt, index: IndexSpec, ids: readonly RawValue[]): Promise<Duplicate> => {
  const projection = Object.fromEntries([["_id", 0], ...keyParts(index).map(({ path }) => [path, 1])]) as Document;
  const [found] = await find(place, { _id: { $eq: ids[0] } }, projection);
  const values = found === undefined ? "{}" : bsonText(found);
  return { values, ids: ids.slice(0, DOCUMENTS).map(text), count: ids.length };
};

/** Values that more than one document has, and which documents, from the server's refusal of a unique index. @throws FERRY_MONGO_* */
export const duplicatesIn = async (
  client: MongoClient,
  ns: Namespace,
  index: IndexSpec,
  refusal: FerryError,
): Promise<readonly Duplicate[]> => {
  const place = { client, ns };
  const named = violationsOf(refusal).slice(0, VALUES);
  if (named.length > 0) return Promise.all(named.map((ids) => describe(place, index, ids)));
  const value = duplicateOf(refusal);
  if (value === undefined) return [];
  const values = Object.entries(optionsIn(value)).map(([path, one]) => ({ [path]: { $eq: one } }));
  const found = await find(place, { $and: values }, { _id: 1 });
  const ids = found.flatMap((raw) => optionsIn(raw)["_id"] ?? []);
  return [{ values: bsonText(value), ids: ids.map(text), count: ids.length }];
};
