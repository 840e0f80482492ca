import assert from "node:assert/strict";
import { test } from "node:test";
import { BSON } from "bson";
import { type Collection, type Document, Double, Int32, Long, MongoClient } from "mongodb";
import { TargetCollation } from "#apply/pipeline/targetCollation.ts";
import { rawId } from "#base/bson/rawValue.ts";
import { classesOf } from "#io/mongo/collation.ts";
import { rawInsert } from "#io/mongo/rawWrites.ts";
import { oneOf, seeded } from "#tools/workload/people.ts";
import { compare } from "../harness/compare.ts";
import { directConverged, startDirect } from "../harness/directRun.ts";
import { testSeed } from "../harness/load.ts";
import { sharedMongo } from "../harness/servers.ts";

/** Two spellings of one `_id`: by the server's rule for numbers, and by the collection's collation. */

const COLLATIONS = [
  { locale: "en", strength: 1 },
  { locale: "en", strength: 1, caseLevel: true },
  { locale: "en", strength: 3, numericOrdering: true },
  { locale: "en", strength: 3, alternate: "shifted" },
  { locale: "de", strength: 1 },
];

const TEXTS = ["key", "KEY", "kéy", "ke\u0301y", "k e y", "k-ey", "a1", "a01", "a10", "ä", "ae", "ss", "ß", "", " "];

test("the server's classes are what its _id index holds to be one, and one class has one lane", async () => {
  const { uri } = await sharedMongo("source");
  await using client = await new MongoClient(uri).connect();
  const db = client.db("classes");
  for (const [n, collation] of COLLATIONS.entries()) {
    await db.createCollection(`c${n}`, { collation });
    const place = {
      target: client,
      to: { db: "classes", coll: `c${n}` },
      source: async () => client,
      from: { db: "classes", coll: `c${n}` },
    };
    const held = await TargetCollation.open(place);
    assert.equal(await held.isSources(), true);
    const values = [
      ...TEXTS,
      ...TEXTS.map((text) => ({ k: text })),
      ...TEXTS.map((text) => ({ k: [text, 1] })),
      1,
      { k: 1 },
    ];
    const keys = values.map((_id) => BSON.serialize({ _id }));
    const classes = await classesOf(client, "classes", collation, keys.map(rawId));
    let joined = 0;
    for (const [i, a] of keys.entries())
      for (const [j, b] of keys.entries()) {
        const isNear = i < TEXTS.length || j < i + 3; // nested ones follow the same rule
        if (j <= i || !isNear || Math.floor(i / TEXTS.length) !== Math.floor(j / TEXTS.length)) continue;
        const { errors } = await rawInsert([a, b], { db, coll: `c${n}`, ordered: false });
        await db.collection(`c${n}`).deleteMany({});
        assert.equal(
          classes[i] === classes[j],
          errors.length === 1,
          `${JSON.stringify([values[i], values[j], collation])}`,
        );
        if (errors.length === 1) {
          joined++;
          assert.equal(held.lane(a, 4), held.lane(b, 4));
        }
      }
    assert.ok(joined > 0, JSON.stringify(collation));
  }
});

/** Deletes and inserts of one `_id` in two spellings, with updates between. */
const churn = async (collection: Collection<Document>, rounds: number, seed: number): Promise<void> => {
  const random = seeded(seed);
  const spell = (i: number): unknown =>
    oneOf<() => unknown>(random, [
      () => `key-${i}`,
      () => `KEY-${i}`,
      () => ({ k: oneOf(random, ["a", "A"]), i: new Int32(i) }),
      () => new Int32(i),
      () => Long.fromNumber(i),
      () => new Double(i),
    ])();
  for (let n = 0; n < rounds; n++) {
    const _id = spell(Math.floor(random() * 12)) as never;
    await collection.deleteOne({ _id });
    await collection
      .insertOne({ _id: spell(Math.floor(random() * 12)) as never, n })
      .catch((error: { code?: number }) => {
        if (error.code !== 11000) throw error;
      });
    await collection.updateMany({ n: { $gte: n - 3 } }, { $inc: { times: 1 } });
  }
};

test("ferry run: spellings that change during the copy and the stream, and a collation that comes later", async () => {
  const [source, target] = [await sharedMongo("source"), await sharedMongo("target")];
  await using here = await new MongoClient(source.uri).connect();
  await using there = await new MongoClient(target.uri).connect();
  const seed = testSeed();
  const [db, copy] = [here.db("spell"), there.db("spell")];
  const collation = { locale: "en", strength: 2 };
  await db.createCollection("old", { collation });
  await db.createCollection("again");
  const old = db.collection<Document>("old");
  await old.insertMany(Array.from({ length: 3000 }, (_, i) => ({ _id: `filler-${i}` as never })));
  await churn(old, 60, seed);
  await db.collection<Document>("again").insertOne({ _id: "x" as never });
  const early = churn(old, 150, seed + 1);
  await using run = await startDirect({ source: source.uri, target: target.uri, include: ["spell.*"] });
  await early;
  await run.says("the change stream continues");
  await churn(old, 200, seed + 2);
  // Recreated with a collation, and one that did not exist.
  await db.collection("again").drop();
  await db.createCollection("again", { collation });
  await db.createCollection("born", { collation });
  await churn(db.collection("again"), 150, seed + 3);
  await churn(db.collection("born"), 150, seed + 4);
  for (const name of ["old", "again", "born"]) {
    const found = await directConverged(here, there, `spell.${name}`);
    assert.equal(found.wrong, 0, name);
    assert.equal((await compare(db.collection(name), copy.collection(name))).wrong, 0);
  }
  assert.equal(await there.db("ferry").collection("deadLetters").countDocuments(), 0);
});

test("a letter of one spelling holds the others back, and they are replayed in order", async () => {
  const [source, target] = [await sharedMongo("source"), await sharedMongo("target")];
  await using here = await new MongoClient(source.uri).connect();
  await using there = await new MongoClient(target.uri).connect();
  for (const client of [here, there]) await client.db("ferry").dropDatabase();
  const db = here.db("heldback");
  await db.createCollection("c", { collation: { locale: "en", strength: 2 } });
  const c = db.collection<Document>("c");
  await c.insertOne({ _id: "a" as never, n: 0 });
  await using run = await startDirect({ source: source.uri, target: target.uri, include: ["heldback.*"] });
  await run.says("the change stream continues");
  const there2 = there.db("heldback").collection<Document>("c");
  await there.db("heldback").command({ collMod: "c", validator: { n: { $lt: 5 } }, validationLevel: "strict" });
  await c.updateOne({ _id: "a" as never }, { $set: { n: 9 } });
  await run.says("dead letter");
  await c.deleteOne({ _id: "a" as never });
  await c.insertOne({ _id: "A" as never, n: 1 });
  await c.insertOne({ _id: "other" as never, n: 1 });
  await directLetters(there, 2);
  await there.db("heldback").command({ collMod: "c", validator: {}, validationLevel: "off" });
  await there
    .db("ferry")
    .collection("deadLetters")
    .updateMany({}, { $set: { state: "replay" } });
  await directConverged(here, there, "heldback.c");
  assert.deepEqual(await there2.findOne({ _id: "A" as never }), { _id: "A", n: 1 });
});

const directLetters = async (there: MongoClient, least: number): Promise<void> => {
  const letters = there.db("ferry").collection("deadLetters");
  const ends = Date.now() + 20_000;
  while (
    (await letters.countDocuments()) < least ||
    (await there
      .db("heldback")
      .collection<Document>("c")
      .findOne({ _id: "other" as never })) === null
  ) {
    assert.ok(
      Date.now() < ends,
      `letters: ${JSON.stringify(await letters.find({}, { projection: { raw: 0 } }).toArray())}`,
    );
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
};
