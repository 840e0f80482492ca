import type { Db, Document } from "mongodb";

type Misfit = Readonly<{
  coll: string;
  key: Document;
  options?: Document;
  /** A field's value that the index refuses, and two that fit. */
  field: string;
  bad: unknown;
  good: readonly [unknown, unknown];
}>;

const point = (x: number): Document => ({ type: "Point", coordinates: [x, 1] });

/** Every kind of index that refuses documents by what is in them. */
const MISFITS: readonly Misfit[] = [
  { coll: "sphere", key: { loc: "2dsphere" }, field: "loc", bad: "bad", good: [point(1), point(2)] },
  { coll: "flat", key: { loc: "2d" }, field: "loc", bad: [1000, 1], good: [[1, 1], [2, 1]] }, // biome-ignore format: pairs
  { coll: "words", key: { text: "text" }, field: "language", bad: 5, good: ["german", "english"] },
  { coll: "hashed", key: { tag: "hashed" }, field: "tag", bad: [1, 2], good: ["one", "two"] },
  { coll: "parallel", key: { a: 1, b: 1 }, field: "b", bad: [1, 2], good: [1, 2] },
  { coll: "place", key: { "b.0": 1 }, field: "b", bad: [{ 0: 1 }], good: [[1], [2]] },
  { coll: "strict", key: { b: 1, a: 1 }, options: { unique: true }, field: "b", bad: [1, 2], good: [1, 2] },
];

const base = (coll: string): Document => ({ _id: `${coll}-1`, a: [1, 2], text: "Haus" });

export const EARLY = MISFITS.map(({ coll }) => coll);

export const beforeEarly = async (db: Db): Promise<void> => {
  for (const { coll } of MISFITS) await db.collection(coll).insertOne({ _id: "first" as never });
};

/** Documents that do not fit, then fit; then the index; then they change again. */
export const happenEarly = async (db: Db): Promise<void> => {
  for (const { coll, key, options, field, bad, good } of MISFITS) {
    const collection = db.collection(coll);
    const [first, second] = good;
    await collection.insertOne({ ...base(coll), [field]: bad });
    await collection.insertOne({ ...base(coll), _id: "gone" as never, [field]: bad });
    await collection.updateOne({ _id: `${coll}-1` as never }, { $set: { [field]: first } });
    await collection.deleteOne({ _id: "gone" as never });
    await collection.createIndex(key as never, { ...options, name: "early" });
    await collection.updateOne({ _id: `${coll}-1` as never }, { $set: { [field]: second } });
  }
  await becomesView(db, "viewed");
};

/** A collection that is dropped, made again by another rule and dropped again; a view has its name in the end. */
const becomesView = async (db: Db, coll: string): Promise<void> => {
  const collection = db.collection<{ _id: unknown }>(coll);
  await collection.insertOne({ _id: 1 });
  await collection.drop();
  await db.createCollection(coll, { collation: { locale: "sv", strength: 1 } });
  await collection.insertMany([{ _id: "a" }, { _id: "b" }]);
  await collection.drop();
  await db.createCollection(coll, { viewOn: "sphere", pipeline: [{ $match: { a: 1 } }] });
};

const COLLS = ["random_a", "random_b"];

/** Collections of the random steps. */
export const RANDOM = COLLS;

export const beforeRandom = async (db: Db): Promise<void> => {
  for (const coll of COLLS) await db.createCollection(coll, { validator: { n: { $gte: 0 } } });
};

/** What the server refuses is no step: a document that an index is there for, or an index over documents that do not fit. */
const maybe = (step: Promise<unknown>): Promise<unknown> => step.catch(() => undefined);

/** One change at random of documents or structure: some documents do not fit some indexes that come and go. */
export const randomStep = (db: Db, random: () => number): Promise<unknown> => {
  const of = <T>(values: readonly T[]): T => values[Math.floor(random() * values.length)] as T;
  const { key, options, field, bad, good } = of(MISFITS);
  const collection = db.collection<Document>(of(COLLS));
  const _id = Math.floor(random() * 6) as never;
  const name = `on_${Object.keys(key).join("_")}`;
  const value = of([bad, ...good]);
  const kind = random();
  if (kind < 0.3) return maybe(collection.insertOne({ _id, a: of([1, [1, 2]]), n: 1, [field]: value }));
  if (kind < 0.5) return maybe(collection.updateOne({ _id }, { $set: { [field]: value } }));
  if (kind < 0.55) return maybe(collection.deleteOne({ _id }));
  if (kind < 0.65) return maybe(collection.updateMany({}, { $unset: { [field]: 1, b: 1 } }));
  if (kind < 0.85) return maybe(collection.createIndex(key as never, { ...options, name }));
  if (kind < 0.95) return maybe(collection.dropIndex(name));
  return maybe(db.command({ collMod: collection.collectionName, validationLevel: of(["off", "moderate", "strict"]) }));
};
