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
};
