import type { RawValue } from "#base/bson/rawValue.ts";
import type { Document, MongoClient } from "./connect.ts";
import { translated } from "./errors.ts";

/**
 * The default collation of a collection, by which its server compares `_id`s; undefined where that is the simple one, or
 * where there is no such collection. @throws FERRY_MONGO_*
 */
export const collationOf = async (
  client: MongoClient,
  { db, coll }: Readonly<{ db: string; coll: string }>,
): Promise<Document | undefined> => {
  const found = await translated(`looking at ${db}.${coll}`, () =>
    client.db(db).listCollections({ name: coll }).toArray(),
  );
  const options = found[0] !== undefined && "options" in found[0] ? found[0].options : undefined;
  const collation = options?.["collation"] as Document | undefined;
  return collation?.["locale"] === "simple" ? undefined : collation;
};

/** Each text with the number of the class of those that a collation holds to be one. @throws FERRY_MONGO_* */
export const classesOf = async (
  client: MongoClient,
  db: string,
  collation: Document,
  values: readonly RawValue[],
): Promise<readonly number[]> => {
  const rows = values.map((value, at) => ({ at, value: { $literal: value } }));
  const classes: number[] = [];
  const stages = [{ $documents: rows }, { $group: { _id: "$value", at: { $push: "$at" } } }];
  const groups = await translated("asking the target which _ids are one", () =>
    client
      .db(db)
      .aggregate(stages, { collation: collation as { locale: string } })
      .toArray(),
  );
  for (const [number, { at }] of groups.entries()) for (const one of at as number[]) classes[one] = number;
  return classes;
};
