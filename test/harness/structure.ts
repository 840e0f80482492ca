import { type Document, EJSON } from "bson";
import type { MongoClient } from "mongodb";

/** A collection of every kind that MongoDB has, with every kind of index; a few documents where they can be. */
export const furnish = async (client: MongoClient, name: string): Promise<void> => {
  const db = client.db(name);
  await db.createCollection("users", {
    collation: { locale: "de", strength: 2 },
    validator: { email: { $type: "string" } },
    validationLevel: "moderate",
    validationAction: "error",
    changeStreamPreAndPostImages: { enabled: true },
  });
  await db.command({
    createIndexes: "users",
    indexes: [
      { key: { email: 1 }, name: "email", unique: true },
      { key: { name: 1 }, name: "simple", collation: { locale: "simple" } },
      { key: { name: 1, age: -1 }, name: "partial", partialFilterExpression: { age: { $gt: 18 } } },
      { key: { nick: 1 }, name: "sparse", sparse: true, unique: true },
      { key: { seen: 1 }, name: "ttl", expireAfterSeconds: 3600 },
      { key: { old: 1 }, name: "hidden", hidden: true },
      { key: { place: "2dsphere" }, name: "place" },
      { key: { "extra.$**": 1 }, name: "wild" },
      { key: { tag: "hashed" }, name: "hashed" },
    ],
  });
  await db.command({
    createIndexes: "texts",
    indexes: [
      {
        key: { lang: 1, body: "text", "title.short": "text" },
        name: "text",
        weights: { body: 3 },
        default_language: "german",
      },
      { key: { flat: "2d" }, name: "flat", min: 0, max: 100, bits: 20 },
      { key: { "$**": 1 }, name: "all", wildcardProjection: { body: 0 } },
      { key: { a: 1 }, name: "plain_a" },
      { key: { a: 1 }, name: "unique_a", unique: true, partialFilterExpression: { a: { $exists: true } } },
      { key: { b: 1 }, name: "plain_b" },
      { key: { b: 1 }, name: "unique_b", unique: true },
      {
        key: new Map([
          ["z", 1],
          ["2024", -1],
        ]) as unknown as Document,
        name: "order",
      },
    ],
  });
  await db.createCollection("events", { capped: true, size: 65536, max: 50 });
  await db.createCollection("clustered", {
    clusteredIndex: { key: { _id: 1 }, unique: true, name: "own" },
    expireAfterSeconds: 7200,
  });
  await db.createCollection("weather", {
    timeseries: { timeField: "t", metaField: "m", granularity: "minutes" },
    expireAfterSeconds: 86400,
  });
  await db.command({ createIndexes: "weather", indexes: [{ key: { m: 1, t: -1 }, name: "m_t" }] });
  await db.createCollection("adults", { viewOn: "users", pipeline: [{ $match: { age: { $gt: 18 } } }] });
  await db.createCollection("texts_of_adults", {
    viewOn: "adults",
    pipeline: [
      { $lookup: { from: "texts", localField: "name", foreignField: "author", as: "texts" } },
      { $unionWith: { coll: "clustered", pipeline: [] } },
    ],
  });
};

/** Collections and views with their options and indexes, as text that is equal where two servers have the same. */
export const structureOf = async (client: MongoClient, name: string): Promise<Readonly<Record<string, string>>> => {
  const db = client.db(name);
  const found: Record<string, string> = {};
  for (const { name: coll, type, options } of (await db
    .listCollections({}, { nameOnly: false })
    .toArray()) as Document[]) {
    if (coll.startsWith("system.")) continue;
    const indexes = type === "view" ? [] : await db.collection(coll).listIndexes().toArray();
    const sorted = indexes.map((index) =>
      EJSON.stringify(Object.entries(index).sort(([a], [b]) => (a < b ? -1 : 1)) as Document),
    );
    // Servers write these out after a collMod, and leave them out before.
    if (options.validationLevel === "strict") delete options.validationLevel;
    if (options.validationAction === "error") delete options.validationAction;
    found[coll] = [
      type,
      EJSON.stringify(Object.entries(options).sort(([a], [b]) => (a < b ? -1 : 1)) as Document),
      ...sorted.sort(),
    ].join("\n");
  }
  return found;
};
