import type { Document } from "bson";
import type { Db, MongoClient } from "mongodb";
import { systemClock } from "#base/flow/clock.ts";
import { waitFor } from "#base/flow/retry.ts";
import { compareLive } from "./compare.ts";

type Row = { _id: number } & Document;

const rows = (from: number, count: number): Row[] =>
  Array.from({ length: count }, (_, n) => ({ _id: from + n, n: from + n, email: `${from + n}@x` }));

/** Collections of one phase, as they are before anything is carried. Both topologies are shown the same table of changes. */
export const before = async (db: Db, phase: string): Promise<void> => {
  for (const name of ["indexed", "modified", "again", "gone", "ring", "old", "over", "rotated", "out"])
    await db.collection<Row>(`${phase}_${name}`).insertMany(rows(0, 60));
  await db.command({
    createIndexes: `${phase}_indexed`,
    indexes: [
      { key: { email: 1 }, name: "mail", unique: true },
      { key: { n: 1 }, name: "dropped" },
    ],
  });
  await db.command({
    createIndexes: `${phase}_modified`,
    indexes: [
      { key: { at: 1 }, name: "at", expireAfterSeconds: 1000 },
      { key: { n: 1 }, name: "n" },
    ],
  });
  await db.collection(`${phase}_again`).createIndex({ n: 1 });
  await db.createCollection(`${phase}_view`, { viewOn: `${phase}_indexed`, pipeline: [] });
  await db.createCollection(`${phase}_viewgone`, { viewOn: `${phase}_indexed`, pipeline: [] });
};

/** Everything that may happen to a collection besides its documents, with documents before and after. */
export const happen = async (db: Db, phase: string): Promise<void> => {
  await db.createCollection(`${phase}_new`, { collation: { locale: "de" }, validator: { n: { $type: "int" } } });
  await db.command({
    createIndexes: `${phase}_new`,
    indexes: [{ key: { email: 1 }, name: "e", unique: true, hidden: true }],
  });
  await db.collection<Row>(`${phase}_new`).insertMany(rows(0, 40));
  await db.createCollection(`${phase}_weather`, { timeseries: { timeField: "t" } });

  const indexed = `${phase}_indexed`;
  await db.command({ dropIndexes: indexed, index: ["dropped", "mail"] });
  await db.collection<Row>(indexed).updateMany({ _id: { $lt: 10 } }, { $set: { n: -1 } });
  await db.command({
    createIndexes: indexed,
    indexes: [
      { key: { email: -1 }, name: "mail", unique: true, sparse: true },
      { key: { "extra.$**": 1 }, name: "wild" },
    ],
  });

  const modified = `${phase}_modified`;
  await db.command({ collMod: modified, index: { name: "at", expireAfterSeconds: 2000 } });
  await db.command({ collMod: modified, index: { name: "n", hidden: true } });
  await db.command({ collMod: modified, validator: { n: { $gte: 0 } }, validationLevel: "moderate" });
  await db.command({ collMod: modified, changeStreamPreAndPostImages: { enabled: true } });
  await db.collection<Row>(modified).insertMany(rows(100, 10));

  await db.collection(`${phase}_again`).drop();
  await db.createCollection(`${phase}_again`, { clusteredIndex: { key: { _id: 1 }, unique: true } });
  await db.collection<Row>(`${phase}_again`).insertMany(rows(30, 50));
  await db.collection(`${phase}_gone`).drop();
  await db.command({ convertToCapped: `${phase}_ring`, size: 1_000_000 });
  await db.collection<Row>(`${phase}_ring`).insertMany(rows(100, 5));

  // Renamed to a name that is free, over one that is not, and away with the old name taken again; $out renames, too.
  const rename = (from: string, to: string, dropTarget: boolean): Promise<unknown> =>
    db.renameCollection(`${phase}_${from}`, `${phase}_${to}`, { dropTarget });
  await db.collection<Row>(`${phase}_old`).updateMany({ _id: { $lt: 30 } }, { $set: { n: -5 } });
  await db.collection<Row>(`${phase}_old`).deleteMany({ _id: { $gte: 50 } });
  await rename("old", "over", true);
  await db.collection<Row>(`${phase}_over`).insertMany(rows(200, 20));
  await rename("rotated", "archive", false);
  await db.collection<Row>(`${phase}_rotated`).insertMany(rows(40, 40));
  await db
    .collection(`${phase}_over`)
    .aggregate([{ $match: { n: { $gt: 20 } } }, { $out: `${phase}_out` }])
    .toArray();

  await db.command({ collMod: `${phase}_view`, viewOn: modified, pipeline: [{ $match: { n: 1 } }] });
  await db.collection(`${phase}_viewgone`).drop();
  await db.createCollection(`${phase}_viewnew`, { viewOn: indexed, pipeline: [] });
};

const CARRIED = ["indexed", "modified", "again", "ring", "new", "over", "archive", "rotated", "out"];

/** Waits until every collection has the source's documents, and the structure has nothing left to follow. */
export const sameAgain = async (
  source: Db,
  target: Db,
  phases: readonly string[],
  plan: () => Promise<string>,
): Promise<void> => {
  await waitFor(
    async () => {
      for (const phase of phases)
        for (const name of CARRIED) {
          const coll = `${phase}_${name}`;
          const found = await compareLive(source.collection(coll), target.collection(coll));
          if (found.wrong > 0 || found.source === 0) return { seen: { coll, ...found, different: [] } };
        }
      const left = await plan();
      return left.startsWith("nothing to do") ? { done: undefined } : { seen: left };
    },
    { what: `${phases} to be on the target`, clock: systemClock, timeoutMs: 90_000, everyMs: 500 },
  );
};

/** Databases of one phase that are dropped as a whole: one permanently, one to be filled again immediately. */
export const databasesOf = (phase: string): readonly string[] => [`${phase}_ended`, `${phase}_anew`];

export const beforeDatabases = async (client: MongoClient, phase: string): Promise<void> => {
  for (const name of databasesOf(phase)) {
    const db = client.db(name);
    await db.collection<Row>("a").insertMany(rows(0, 60));
    await db.collection<Row>("b").insertMany(rows(0, 60));
    await db.collection("b").createIndex({ n: 1 }, { unique: true });
    await db.createCollection("seen", { viewOn: "a", pipeline: [] });
    await db.createCollection("weather", { timeseries: { timeField: "t" } });
  }
};

export const dropDatabases = async (client: MongoClient, phase: string): Promise<void> => {
  for (const name of databasesOf(phase)) {
    await client.db(name).collection<Row>("a").insertMany(rows(100, 5));
    await client.db(name).dropDatabase();
  }
  const anew = client.db(`${phase}_anew`);
  await anew.collection<Row>("b").insertMany(rows(50, 30));
  await anew.collection<Row>("c").insertMany(rows(0, 10));
};

const CAUGHT_UP = { clock: systemClock, timeoutMs: 30_000, everyMs: 200 } as const;

/** Waits until what was dropped has gone on the target, views and time series included, and what was created again is there. */
export const databasesSame = async (source: MongoClient, target: MongoClient, phase: string): Promise<void> => {
  const namesIn = async (client: MongoClient, name: string): Promise<string> =>
    (await client.db(name).listCollections({}, { nameOnly: true }).toArray())
      .map((found) => found.name)
      .filter((one) => one !== "system.views") // the server's own: it stays, empty, when the last view is dropped
      .sort()
      .join();
  for (const name of databasesOf(phase)) {
    const look = async () => {
      const [here, there] = [await namesIn(source, name), await namesIn(target, name)];
      if (here !== there) return { seen: { here, there } };
      for (const coll of here.split(",").filter((one) => one !== "")) {
        const found = await compareLive(source.db(name).collection(coll), target.db(name).collection(coll));
        if (found.wrong > 0 || found.source === 0) return { seen: { coll, ...found, different: [] } };
      }
      return { done: undefined };
    };
    await waitFor(look, { what: `${name} to be on the target as on the source`, ...CAUGHT_UP });
  }
};
