import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { type Document, EJSON } from "bson";
import fc from "fast-check";
import { type Collection, MongoClient } from "mongodb";
import { systemClock } from "#base/flow/clock.ts";
import { waitFor } from "#base/flow/retry.ts";
import { rawInsert } from "#io/mongo/rawWrites.ts";
import { compileWhere } from "#route/filter/where.ts";
import type { CaptureRecord } from "#source/capture/captureStore.ts";
import { ResumeToken } from "#source/stream/resumeToken.ts";
import { startDirect } from "../harness/directRun.ts";
import { ferry } from "../harness/ferry.ts";
import { tempFolder } from "../harness/folders.ts";
import { testSeed } from "../harness/load.ts";
import { sharedMongo } from "../harness/servers.ts";
import { canonical, encode, type Fields, type Value } from "../unit/base/bson/arbitrary.ts";

const double = (v: number): Value => ({ t: "double", v });
const int = (v: number): Value => ({ t: "int32", v });
const long = (v: bigint): Value => ({ t: "int64", v });
const text = (v: string): Value => ({ t: "string", v });
const object = (...v: Fields): Value => ({ t: "object", v });
const array = (...v: Value[]): Value => ({ t: "array", v });
const date = (v: bigint): Value => ({ t: "date", v });
const binary = (sub: number, ...v: number[]): Value => ({ t: "binary", sub, v: Uint8Array.from(v) });
const id = (last: number): Value => ({ t: "objectId", v: new Uint8Array(12).fill(7, 0, 11).fill(last, 11) });
const stamp = (seconds: number, increment: number): Value => ({ t: "timestamp", seconds, increment });

/** Decimal128 by the driver, so that the product's own reader is not its own witness. */
const decimal = (v: string): Value => {
  const { d } = EJSON.parse(`{"d": {"$numberDecimal": "${v}"}}`, { relaxed: false }) as { d: { bytes: Uint8Array } };
  return { t: "decimal", v, bytes: d.bytes };
};

/** What a row filter can compare with, by type: neighbours, equal values of other types, and the ends of each range. */
const CONSTANTS: readonly Value[] = [
  { t: "null" },
  { t: "boolean", v: false },
  { t: "boolean", v: true },
  int(0),
  int(1),
  int(5),
  int(-5),
  double(-0),
  double(0.1),
  double(5),
  double(5.5),
  double(Number.NaN),
  double(Number.POSITIVE_INFINITY),
  double(Number.NEGATIVE_INFINITY),
  double(5e-324),
  double(2 ** 53),
  double(2 ** 63),
  double(1e300),
  long(5n),
  long(9007199254740993n),
  long(9223372036854775807n),
  long(-9223372036854775808n),
  decimal("5.00"),
  decimal("0.1"),
  decimal("0.1000000000000000055511151231257827"),
  decimal("9007199254740993"),
  decimal("9223372036854775807.5"),
  decimal("NaN"),
  decimal("Infinity"),
  decimal("-Infinity"),
  decimal("1E+6000"),
  decimal("1E-6000"),
  decimal("-0"),
  text(""),
  text("5"),
  text("a"),
  text("ab"),
  text("é"),
  text("a\0b"),
  object(),
  object(["w", int(5)]),
  object(["w", int(5)], ["x", int(1)]),
  object(["w", { t: "null" }]),
  object(["w", text("5")]),
  array(),
  array(int(5)),
  array(double(5), text("a")),
  array({ t: "null" }),
  array(array(int(5))),
  binary(0),
  binary(0, 1),
  binary(5, 1),
  binary(0, 1, 2),
  id(1),
  id(2),
  date(0n),
  date(-1n),
  date(1_700_000_000_000n),
  stamp(0, 1),
  stamp(4_000_000_000, 1),
  stamp(1, 4_000_000_000),
];

/** What only documents have. */
const OTHERS: readonly Value[] = [
  { t: "undefined" },
  { t: "minKey" },
  { t: "maxKey" },
  { t: "regex", v: "a", options: "i" },
  { t: "dbPointer", ns: "a.b", id: new Uint8Array(12) },
  { t: "code", v: "a" },
  { t: "symbol", v: "a" },
  { t: "symbol", v: "5" },
  { t: "scoped", v: "a", scope: [["w", int(5)]] },
  date(9223372036854775807n),
  binary(2, 1),
  object(["w", int(5)], ["w", int(6)]),
  object(["x", int(1)], ["w", int(5)]),
  object(["0", int(5)]),
  object(["$w", int(5)]),
  array({ t: "undefined" }),
  array(int(6), object(["w", int(5)])),
  array(object(["w", int(5)]), int(6)),
];

const VALUES = [...CONSTANTS, ...OTHERS];

/** Where a value can lie. Field `v` of a document. */
const PLACES: readonly ((x: Value) => Value)[] = [
  (x) => x,
  (x) => array(x),
  (x) => array(int(1), x),
  (x) => array(array(x)),
  (x) => object(["w", x]),
  (x) => array(object(["w", x])),
  (x) => object(["w", array(x)]),
  (x) => array(array(object(["w", x]))),
  (x) => object(["0", x]),
  (x) => array(object(["0", x])),
  (x) => array(object(["0", object(["w", x])], ["w", int(1)])),
  (x) => object(["00", x], ["$w", x], ["w.0", x]),
];

const PATHS = ["v", "v.w", "v.0", "v.0.w", "v.w.0", "v.0.0", "v.00", "v.1", "v.$w", "v.w.w", "none.w"] as const;

const ORDERS = ["$eq", "$ne", "$gt", "$gte", "$lt", "$lte"] as const;

/** A condition as the configuration has it. */
type Query = Record<string, unknown>;

const spell = (value: Value): unknown => JSON.parse(canonical(value));

/** Every document of a collection, as the server has it. */
const rawOf = async (coll: Collection): Promise<readonly (readonly [number, Uint8Array])[]> => {
  const raw = (await coll.find({}, { raw: true }).sort({ n: 1 }).toArray()) as unknown as Uint8Array[];
  return raw.map((doc, n) => [n, doc]);
};

const differencesOf = async (
  coll: Collection,
  documents: readonly (readonly [number, Uint8Array])[],
  query: Query,
): Promise<string[]> => {
  const given = EJSON.parse(JSON.stringify(query), { relaxed: false }) as Document;
  const found = await coll.find(given, { projection: { _id: 0, n: 1 }, batchSize: 100_000 }).toArray();
  const theirs = new Set(found.map(({ n }) => Number(n)));
  const where = compileWhere(query);
  return documents.flatMap(([n, doc]) => {
    const own = where(doc);
    if (own === theirs.has(n)) return [];
    return [`${JSON.stringify(query)} on document ${n} (${Buffer.from(doc).toString("hex")}): ferry says ${own}`];
  });
};

/** Runs queries a few at a time; the differences. */
const compareAll = async (coll: Collection, queries: readonly Query[]): Promise<readonly string[]> => {
  const documents = await rawOf(coll);
  const left = queries.values();
  const differences: string[] = [];
  const work = async (): Promise<void> => {
    for (const query of left) differences.push(...(await differencesOf(coll, documents, query)));
  };
  await Promise.all([work(), work(), work(), work()]);
  return differences;
};

const insert = async (client: MongoClient, coll: string, bodies: readonly Fields[]): Promise<Collection> => {
  const documents = bodies.map((body, n) => encode([["_id", int(n)], ["n", int(n)], ...body]));
  const db = client.db("where");
  const { errors } = await rawInsert(documents, { db, coll, ordered: false });
  assert.deepEqual(errors, []);
  return db.collection(coll);
};

const everyQuery = (): Query[] =>
  PATHS.flatMap((path): Query[] => [
    ...CONSTANTS.flatMap((value): Query[] => {
      const c = spell(value);
      return [
        { [path]: c },
        ...ORDERS.map((operator) => ({ [path]: { [operator]: c } })),
        { [path]: { $in: [c, "b"] } },
        { [path]: { $nin: [c, null] } },
        { [path]: { $not: { $gte: c } } },
      ];
    }),
    ...[true, false, 1, 0, 2.5, -0].map((given) => ({ [path]: { $exists: given } })),
    { [path]: { $in: [] } },
    { [path]: { $nin: [] } },
    { [path]: { $not: { $exists: 1 } } },
    { [path]: { $not: { $ne: { $numberInt: "5" } } } },
    { [path]: { $gte: 1, $lt: 5.5 } },
    { $nor: [{ [path]: { $exists: true } }, { n: { $lt: 50 } }] },
    { $or: [{ [path]: 5 }, { $and: [{ [path]: null }, { n: { $gt: 100 } }] }] },
  ]);

test("every operator on every path and type selects what find selects", async () => {
  const { uri } = await sharedMongo();
  await using client = await new MongoClient(uri).connect();
  const coll = await insert(client, "every", [
    [],
    ...VALUES.flatMap((value) => PLACES.map((place): Fields => [["v", place(value)]])),
  ]);
  const queries = everyQuery();
  const differences = await compareAll(coll, queries);
  console.log(`${queries.length} queries`);
  assert.deepEqual(differences.slice(0, 20), [], `${differences.length} differences`);
});

const NAMES = ["v", "w", "0", "1"] as const;

test("random conditions on random documents select what find selects", async () => {
  const seed = testSeed();
  const { uri } = await sharedMongo();
  await using client = await new MongoClient(uri).connect();
  const leaf = fc.constantFrom(...VALUES);
  const { value } = fc.letrec<{ value: Value }>((tie) => ({
    value: fc.oneof(
      { maxDepth: 4 },
      { weight: 2, arbitrary: leaf },
      { weight: 2, arbitrary: fc.array(tie("value"), { maxLength: 3 }).map((items) => array(...items)) },
      {
        weight: 3,
        arbitrary: fc
          .array(fc.tuple(fc.constantFrom(...NAMES), tie("value")), { maxLength: 3 })
          .map((fields) => object(...fields)),
      },
    ),
  }));
  const bodies = fc.sample(value, { seed, numRuns: 600 }).map((x): Fields => [["v", x]]);
  const coll = await insert(client, "random", bodies);
  const given = fc.constantFrom(...CONSTANTS).map(spell);
  const path = fc.array(fc.constantFrom(...NAMES), { maxLength: 3 }).map((parts) => ["v", ...parts].join("."));
  const operators = fc.oneof(
    fc.tuple(fc.constantFrom(...ORDERS), given).map(([operator, c]) => ({ [operator]: c })),
    fc
      .tuple(fc.constantFrom("$in", "$nin"), fc.array(given, { maxLength: 3 }))
      .map(([name, list]) => ({ [name]: list })),
    fc.constantFrom({ $exists: true }, { $exists: 0 }),
  );
  const { query } = fc.letrec<{ query: Query }>((tie) => ({
    query: fc.oneof(
      { maxDepth: 2 },
      fc.tuple(path, given).map(([name, c]) => ({ [name]: c })),
      fc.tuple(path, operators, operators).map(([name, a, b]) => ({ [name]: { ...a, ...b } })),
      fc.tuple(path, operators).map(([name, a]) => ({ [name]: { $not: a } })),
      fc
        .tuple(fc.constantFrom("$and", "$or", "$nor"), fc.array(tie("query"), { minLength: 1, maxLength: 3 }))
        .map(([name, list]) => ({ [name]: list })),
    ),
  }));
  const differences = await compareAll(coll, fc.sample(query, { seed, numRuns: 1500 }));
  assert.deepEqual(differences.slice(0, 20), [], `${differences.length} differences`);
});

test("documents that enter and leave the filter: in the stream, and while the history was lost", async () => {
  const [source, target] = await Promise.all([sharedMongo("source"), sharedMongo("target")]);
  await using here = await new MongoClient(source.uri).connect();
  await using there = await new MongoClient(target.uri).connect();
  using folder = tempFolder();
  const config = join(folder.path, "ferry.yaml");
  writeFileSync(config, "routes:\n  - { from: rows.c, where: { on: true, tags: { $ne: out } } }\n");
  const args = ["--state-db", "ferry_rows", "--config", config];
  const options = { source: source.uri, target: target.uri, include: ["rows.*"], args };
  const rows = here.db("rows").collection<{ _id: number; on?: boolean; tags?: string[]; n?: number }>("c");
  const converged = async (): Promise<void> => {
    const expected = await rows
      .find({ on: true, tags: { $ne: "out" } } as Document)
      .sort({ _id: 1 })
      .toArray();
    await waitFor(
      async () => {
        const found = await there.db("rows").collection("c").find().sort({ _id: 1 }).toArray();
        const same = EJSON.stringify(found) === EJSON.stringify(expected);
        return same ? { done: true } : { seen: `${EJSON.stringify(found)}, not ${EJSON.stringify(expected)}` };
      },
      { what: "the documents that match", clock: systemClock, timeoutMs: 30_000 },
    );
  };
  await rows.insertMany(Array.from({ length: 12 }, (_, _id) => ({ _id, on: _id % 2 === 0, tags: ["in"], n: _id })));
  {
    await using run = await startDirect(options);
    await run.says("copy finished");
    await converged();
    await rows.updateOne({ _id: 0 }, { $set: { on: false } });
    await rows.updateOne({ _id: 1 }, { $set: { on: true } });
    await rows.updateOne({ _id: 2 }, { $push: { tags: "out" } });
    await rows.replaceOne({ _id: 4 }, { n: 4 });
    await rows.replaceOne({ _id: 3 }, { on: true });
    await rows.deleteMany({ _id: { $in: [5, 6] } });
    await rows.insertMany([
      { _id: 6, on: false },
      { _id: 5, on: true },
    ]);
    await rows.updateOne({ _id: 8 }, { $set: { n: 88 } });
    await converged();
    run.kill("SIGTERM");
    await run.exited;
  }
  const captures = there.db("ferry_rows").collection<CaptureRecord>("capture");
  const token = (await captures.findOne({}))?.token._data ?? "";
  const ancient = `${token.slice(0, 2)}00000400${token.slice(10)}`;
  await captures.updateOne({}, { $set: { token: ResumeToken.stored({ _data: ancient }) } });
  await rows.updateOne({ _id: 8 }, { $set: { on: false } });
  await rows.updateOne({ _id: 7 }, { $set: { on: true } });
  await rows.deleteOne({ _id: 10 });
  await using run = await startDirect({ ...options, args: [...args, "--recopy"] });
  await run.says("copy finished");
  await converged();
});

test("a collection whose collation compares text otherwise halts the route, whether ferry or an operator makes its structure, and whenever it comes", async () => {
  const [source, target] = await Promise.all([sharedMongo("source"), sharedMongo("target")]);
  await using here = await new MongoClient(source.uri).connect();
  const db = here.db("where_collated");
  const collation = { locale: "en", strength: 2 };
  const people = await db.createCollection("people");
  await people.insertOne({ name: "ada" });
  const config = join(tempFolder().path, "ferry.yaml");
  writeFileSync(config, "routes:\n  - { name: text, from: where_collated.people, where: { name: ada } }\n");
  const args = ["--config", config, "--state-db", "ferry_collated", "--no-structure"];
  await using run = await startDirect({ source: source.uri, target: target.uri, args });
  await run.says("copy finished");
  await people.drop();
  await db.createCollection("people", { collation });
  await people.insertOne({ name: "ADA" });
  assert.equal((await run.exited).code, 76);
  assert.match(run.log(), /FERRY_ROUTE_COLLATION: .*text: where compares text, and where_collated\.people/);

  const again = ["--state-db", "ferry_collated_2", "--source", source.uri, "--target", target.uri];
  const { status, err } = await ferry(["run", "--config", config, "--no-structure", ...again]);
  assert.equal(status, 76, err);
  assert.match(err, /FERRY_ROUTE_COLLATION/);
});
