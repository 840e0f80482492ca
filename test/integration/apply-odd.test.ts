import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { MongoClient } from "mongodb";
import type { Entry } from "#apply/plan/entry.ts";
import { planBatch } from "#apply/plan/plan.ts";
import type { ChangeEvent } from "#base/flow/types.ts";
import { rawDelete, rawInsert } from "#io/mongo/rawWrites.ts";
import { txOf } from "#io/mongo/session.ts";
import { MongoSink } from "#sink/mongo/mongoSink.ts";
import { statementsOf } from "#sink/mongo/statements.ts";
import { isRefusal } from "../harness/refusal.ts";
import { sharedMongo } from "../harness/servers.ts";
import { anyFields, encode, type Fields, type Value } from "../unit/base/bson/arbitrary.ts";

const int = (v: number): Value => ({ t: "int32", v });
const text = (v: string): Value => ({ t: "string", v });
const zeroTime: Value = { t: "timestamp", seconds: 0, increment: 0 };
const object = (...v: Fields): Value => ({ t: "object", v });

/** What a document can be made of beside plain names and values; each under an `_id` of its own. */
const oddities: Readonly<Record<string, Fields>> = {
  "a name with $ at the top": [["$a", int(1)]],
  "a name with $ at the top, after others": [
    ["a", int(1)],
    ["$set", object(["x", int(1)])],
  ],
  "a name with $ first, as an operator": [["$set", object(["x", int(1)])]],
  "names with $ below the top": [["a", object(["$b", int(1)], ["$inc", int(2)])]],
  "dotted names": [
    ["a.b", int(1)],
    ["c", object(["d.e", int(2)])],
  ],
  "a name that ends and begins with dots": [
    [".", int(1)],
    ["a.", int(2)],
    [".b", int(3)],
  ],
  "empty names": [
    ["", int(1)],
    ["a", object(["", object(["", int(2)])])],
  ],
  "Timestamp(0,0) at the top": [
    ["t", zeroTime],
    ["a", int(1)],
  ],
  "Timestamp(0,0) at the top twice": [
    ["t", zeroTime],
    ["u", zeroTime],
  ],
  "Timestamp(0,0) below the top": [
    ["a", object(["t", zeroTime])],
    ["b", { t: "array", v: [zeroTime] }],
  ],
  "Timestamp(0,0) beside a name with $": [
    ["t", zeroTime],
    ["$a", int(1)],
  ],
  "duplicate names": [
    ["a", int(1)],
    ["a", int(2)],
  ],
  "duplicate names below the top": [["a", object(["b", int(1)], ["b", int(2)])]],
  "duplicate names beside Timestamp(0,0)": [
    ["a", int(1)],
    ["a", int(2)],
    ["t", zeroTime],
  ],
  "duplicate names beside a name with $": [
    ["a", int(1)],
    ["a", int(2)],
    ["$b", int(1)],
  ],
  "a value that looks like an expression": [
    ["a", text("$b")],
    ["c", object(["$literal", text("$$ROOT")])],
  ],
  "an expression beside Timestamp(0,0)": [
    ["a", text("$b")],
    ["c", object(["$add", int(1)])],
    ["t", zeroTime],
  ],
  "an array's names out of order": [["a", object(["1", int(1)], ["0", int(2)])]],
  "old types": [
    ["u", { t: "undefined" }],
    ["d", { t: "dbPointer", ns: "a.b", id: new Uint8Array(12) }],
    ["s", { t: "symbol", v: "x" }],
    ["c", { t: "scoped", v: "f", scope: [["a", int(1)]] }],
  ],
  "old types beside Timestamp(0,0)": [
    ["u", { t: "undefined" }],
    ["d", { t: "dbPointer", ns: "a.b", id: new Uint8Array(12) }],
    ["s", { t: "symbol", v: "x" }],
    [
      "c",
      {
        t: "scoped",
        v: "f",
        scope: [
          ["$a", int(1)],
          ["b", zeroTime],
        ],
      },
    ],
    ["t", zeroTime],
  ],
};

/** `_id`s that a server takes; Timestamp(0,0) stays what it is in an `_id`. */
const ids: Readonly<Record<string, Value>> = {
  "Timestamp(0,0)": zeroTime,
  "an empty string": text(""),
  "a subdocument with a dotted name": object(["a.b", int(1)]),
  "a subdocument with duplicates": object(["a", int(1)], ["a", int(2)]),
  "an empty subdocument": object(),
  "-0": { t: "double", v: -0 },
  NaN: { t: "double", v: Number.NaN },
  MinKey: { t: "minKey" },
  MaxKey: { t: "maxKey" },
  null: { t: "null" },
  "a symbol": { t: "symbol", v: "s" },
  code: { t: "code", v: "f" },
  "code with scope": { t: "scoped", v: "f", scope: [["a", int(1)]] },
  "a DBPointer": { t: "dbPointer", ns: "a.b", id: new Uint8Array(12) },
  "an old binary": { t: "binary", sub: 2, v: Buffer.from("abc") },
};

const cases: (readonly [string, Fields])[] = [
  ...Object.entries(oddities).map(([name, fields]) => [name, [["_id", text(name)], ...fields]] as const),
  ...Object.entries(ids).map(
    ([name, id]) =>
      [
        `_id: ${name}`,
        [
          ["_id", id],
          ["a", int(1)],
        ],
      ] as const,
  ),
  ...Object.entries(ids).map(
    ([name, id]) =>
      [
        `_id: ${name} beside oddities`,
        [
          ["_id", id],
          ["$a", zeroTime],
        ],
      ] as const,
  ),
];

const entry = (event: ChangeEvent): Entry => ({
  record: { key: null, value: null, offset: 0, timestampMs: 0 },
  event,
  dead: undefined,
});

const open = async () => {
  const { uri } = await sharedMongo();
  const client = await new MongoClient(uri).connect();
  return { client, db: client.db("odd"), [Symbol.asyncDispose]: () => client.close() };
};
type Opened = Awaited<ReturnType<typeof open>>;

/** The bytes as a source holds them, or undefined where it refuses them. */
const atSource = async ({ db }: Opened, bytes: Buffer): Promise<Buffer | undefined> => {
  await db.collection("source").deleteMany({});
  const { errors } = await rawInsert([bytes], { db, coll: "source", ordered: true }).catch((error: unknown) => {
    if (!isRefusal(error)) throw error;
    return { errors: [error] };
  });
  if (errors.length > 0) return undefined;
  const [found] = (await db.collection("source").find({}, { raw: true }).toArray()) as unknown as Buffer[];
  return found;
};

const keyOf = (id: Value): Buffer => encode([["_id", id]]);

/** Applies one document over what `before` left: inserted first, replaced, or created by a replacement. */
const apply = async (opened: Opened, doc: Buffer, id: Value, way: "insert" | "replace" | "create"): Promise<Buffer> => {
  const { client, db } = opened;
  const key = keyOf(id);
  await db.collection("target").deleteMany({});
  if (way === "replace") {
    const former = encode([
      ["_id", id],
      ["a", text("former")],
      ["zz", zeroTime],
    ]);
    await rawInsert([former], { db, coll: "target", ordered: true });
  }
  const event: ChangeEvent = {
    op: "write",
    ns: { db: "odd", coll: "target" },
    key,
    doc,
    at: 0n,
    origin: "stream",
    fresh: way === "insert",
  };
  const { ops } = planBatch([entry(event)], { writes: way === "insert" ? "insert" : "replace", isHeld: () => false });
  const sink = new MongoSink(client, { db: "odd", coll: "target" });
  await client.withSession((session) => session.withTransaction(() => sink.write(ops, txOf(session))));
  const found = (await db.collection("target").find({}, { raw: true }).toArray()) as unknown as Buffer[];
  assert.equal(found.length, 1, `${found.length} documents after ${way}`);
  return found[0] as Buffer;
};

test("odd documents keep their bytes: inserted, replacing another, created by a replacement", async () => {
  await using opened = await open();
  await new MongoSink(opened.client, { db: "odd", coll: "target" }).prepare();
  const refused: string[] = [];
  const wrong: string[] = [];
  for (const [name, fields] of cases) {
    const id = fields[0]?.[1] as Value;
    const doc = await atSource(opened, encode(fields));
    if (doc === undefined) {
      refused.push(name);
      continue;
    }
    for (const way of ["insert", "replace", "create"] as const) {
      try {
        const got = await apply(opened, doc, id, way);
        if (Buffer.compare(got, doc) !== 0)
          wrong.push(`${name}, ${way}: ${doc.toString("hex")} became ${got.toString("hex")}`);
      } catch (error) {
        wrong.push(`${name}, ${way}: ${error instanceof Error ? error.message : error}`);
      }
    }
  }
  assert.deepEqual(wrong, []);
  assert.deepEqual(refused, []);
});

test("a delete reaches every _id that a server takes", async () => {
  await using opened = await open();
  const { db } = opened;
  for (const [name, id] of Object.entries(ids)) {
    await db.collection("deleted").deleteMany({});
    await rawInsert([encode([["_id", id]])], { db, coll: "deleted", ordered: true });
    const { ops } = planBatch(
      [entry({ op: "delete", ns: { db: "odd", coll: "deleted" }, key: keyOf(id), at: 0n, origin: "stream" })],
      { writes: "insert", isHeld: () => false },
    );
    assert.equal((await rawDelete(statementsOf(ops).deletes, { db, coll: "deleted", ordered: true })).n, 1, name);
  }
});

test("random documents keep their bytes in every way of writing", async () => {
  await using opened = await open();
  const { client, db } = opened;
  await new MongoSink(client, { db: "odd", coll: "many" }).prepare();
  const samples = fc.sample(anyFields, { numRuns: 400, seed: 20261123 });
  const documents = samples.map((fields, n) =>
    encode([
      ["_id", int(n)],
      ...fields.filter(([name]) => name !== "_id"),
      ...(n % 3 === 0 ? [["t", zeroTime] as const] : []),
    ]),
  );
  await rawInsert(documents, { db, coll: "samples", ordered: false });
  const held = (await db
    .collection("samples")
    .find({}, { raw: true, sort: { _id: 1 } })
    .toArray()) as unknown as Buffer[];
  for (const insertFirst of [true, false]) {
    const events = held.map((doc): Entry => {
      const key = encode([["_id", int(doc.readInt32LE(9))]]);
      return entry({ op: "write", ns: { db: "odd", coll: "many" }, key, doc, at: 0n, origin: "stream", fresh: true });
    });
    const { ops } = planBatch(events, { writes: insertFirst ? "insert" : "replace", isHeld: () => false });
    await new MongoSink(client, { db: "odd", coll: "many" }).write(ops, undefined);
    const got = (await db
      .collection("many")
      .find({}, { raw: true, sort: { _id: 1 } })
      .toArray()) as unknown as Buffer[];
    assert.equal(got.length, held.length);
    const wrong = held.flatMap((doc, i) =>
      Buffer.compare(doc, got[i] ?? Buffer.alloc(0)) === 0 ? [] : [doc.toString("hex")],
    );
    assert.deepEqual(wrong, [], `insertFirst: ${insertFirst}`);
  }
  assert.ok(held.length > 300, `${held.length} of 400 were taken by the source`);
});

test("an _id of another numeric type replaces: delete and insert in one batch", async () => {
  await using opened = await open();
  const { client, db } = opened;
  const ns = { db: "odd", coll: "numeric" };
  const sink = new MongoSink(client, ns);
  await sink.prepare();
  const one = { int: int(1), double: { t: "double", v: 1 }, long: { t: "int64", v: 1n } } as const;
  for (const [from, to] of [
    ["int", "double"],
    ["double", "long"],
    ["long", "int"],
  ] as const) {
    await db.collection("numeric").deleteMany({});
    await rawInsert(
      [
        encode([
          ["_id", one[from]],
          ["a", int(1)],
        ]),
      ],
      { db, coll: "numeric", ordered: true },
    );
    const doc = encode([
      ["_id", one[to]],
      ["a", int(2)],
    ]);
    const base = { ns, at: 0n, origin: "stream" } as const;
    const entries = [
      entry({ ...base, op: "delete", key: keyOf(one[from]) }),
      entry({ ...base, op: "write", key: keyOf(one[to]), doc, fresh: true }),
    ];
    for (const insertFirst of [true, false]) {
      const { ops } = planBatch(entries, { writes: insertFirst ? "insert" : "replace", isHeld: () => false });
      await client.withSession((session) => session.withTransaction(() => sink.write(ops, txOf(session))));
      const [got] = (await db.collection("numeric").find({}, { raw: true }).toArray()) as unknown as Buffer[];
      assert.equal(got?.toString("hex"), doc.toString("hex"), `${from} to ${to}`);
    }
  }
});
