import assert from "node:assert/strict";
import { test } from "node:test";
import { BSON, type Document, Double } from "bson";
import fc from "fast-check";
import { deltaShape } from "#route/drift/deltaShape.ts";
import { DriftObserver, type TypeEntry } from "#route/drift/observer.ts";

const spell = (entries: readonly TypeEntry[]): string[] =>
  entries.map(({ path, type, kind }) => `${path}:${type}:${kind}`);

const settle = (entries: readonly TypeEntry[]): void => {
  for (const entry of entries) {
    entry.verdict = "pass";
    entry.stored = true;
  }
};

const observer = (depth = 8) => {
  const drift = new DriftObserver(depth);
  let offset = 0;
  const seeRaw = (doc: Uint8Array): string[] => {
    const found = drift.observe(doc, BigInt(offset), offset);
    offset++;
    const spelled = spell(found);
    settle(found);
    return spelled;
  };
  return { drift, seeRaw, see: (doc: Document): string[] => seeRaw(BSON.serialize(doc)) };
};

test("each path and type is news once, at any depth and through arrays", () => {
  const { see } = observer();
  assert.deepEqual(see({ _id: 1, name: "Ada", tags: ["x"], orders: [{ sku: "a" }] }), [
    "_id:int:field",
    "name:string:field",
    "tags:array:field",
    "tags[]:string:field",
    "orders:array:field",
    "orders[]:object:field",
    "orders.sku:string:field",
  ]);
  assert.deepEqual(see({ _id: 2, name: "Alan", tags: [], orders: [] }), []);
  assert.deepEqual(see({ name: "Grace", _id: 3, sex: "F" }), ["sex:string:field"]);
  assert.deepEqual(see({ _id: 4, name: null, orders: [{ sku: "b", price: new Double(1) }] }), [
    "name:null:type",
    "orders.price:double:field",
  ]);
  assert.deepEqual(see({ _id: 5, orders: { sku: "c" } }), ["orders:object:type"]);
  assert.deepEqual(see({ _id: 6, sex: "M", name: "x" }), []);
});

test("names of bytes that are no UTF-8 are fields of their own, and are known again by their text", () => {
  const named = (byte: number): Buffer => Buffer.from([12, 0, 0, 0, 16, byte, 0, 1, 0, 0, 0, 0]);
  const { seeRaw } = observer();
  assert.deepEqual(seeRaw(named(0xff)), ["\\xff:int:field"]);
  assert.deepEqual(seeRaw(named(0xfe)), ["\\xfe:int:field"]);
  const again = observer();
  settle([again.drift.know("\\xff", 16, "field")]);
  assert.deepEqual(again.seeRaw(named(0xff)), []);
});

test("an unjudged field is reported for every document that has it", () => {
  const drift = new DriftObserver(8);
  settle(drift.observe(BSON.serialize({ _id: 1 }), 1n, 1));
  assert.deepEqual(spell(drift.observe(BSON.serialize({ _id: 2, sex: "F" }), 2n, 2)), ["sex:string:field"]);
  assert.deepEqual(spell(drift.observe(BSON.serialize({ _id: 3, sex: "M" }), 3n, 3)), ["sex:string:field"]);
});

test("depth limits what is looked at", () => {
  const { see } = observer(1);
  assert.deepEqual(see({ _id: 1, a: { b: 1 } }), ["_id:int:field", "a:object:field"]);
  assert.deepEqual(see({ _id: 1, a: { c: 1 } }), []);
});

test("a map with keys of its own does not grow the ledger without end", () => {
  const { see, drift } = observer();
  for (let i = 0; i < 2000; i++) see({ _id: i, [`k${i}`]: i });
  assert.ok(drift.size <= 502);
});

const typeOf = (value: unknown): string => {
  if (value === null) return "null";
  if (typeof value === "number") return Number.isInteger(value) ? "int" : "double";
  return typeof value === "boolean" ? "bool" : typeof value;
};

const childrenOf = (value: unknown): [string, unknown][] =>
  typeof value === "object" && value !== null ? Object.entries(value) : [];

test("counts, first and last place are exact over random documents", () => {
  const name = fc.constantFrom("a", "b", "c", "d");
  const leaf = fc.constantFrom<unknown>(1, "s", null, true, 2.5);
  const document = fc.dictionary(
    name,
    fc.oneof(leaf, fc.dictionary(name, leaf, { maxKeys: 3, noNullPrototype: true })),
    {
      maxKeys: 4,
      noNullPrototype: true,
    },
  );
  fc.assert(
    fc.property(fc.array(document, { maxLength: 30 }), (documents) => {
      const { see, drift } = observer();
      const expected = new Map<string, [number, number, number]>();
      const count = (value: unknown, path: string, offset: number): void => {
        const key = `${path}:${typeOf(value)}`;
        const [n, first] = expected.get(key) ?? [0, offset];
        expected.set(key, [n + 1, first, offset]);
        for (const [child, inner] of childrenOf(value)) count(inner, `${path}.${child}`, offset);
      };
      for (const [offset, doc] of documents.entries()) {
        see(doc);
        for (const [child, value] of Object.entries(doc)) count(value, child, offset);
      }
      const found = drift
        .takeCounts()
        .map(
          ({ entry, count: n }) => [`${entry.path}:${entry.type}`, [n, entry.firstOffset, entry.lastOffset]] as const,
        );
      assert.deepEqual(new Map(found.sort()), new Map([...expected].sort()));
    }),
    { numRuns: 500 },
  );
});

test("a delta shows what it sets at its place; a path counts only where the server says which field it names", () => {
  const { see, seeRaw } = observer();
  see({ _id: 1, address: { zip: "1" }, orders: [{ sku: "a" }] });
  const shown = (updatedFields: Document, more: Document = {}): string[] =>
    seeRaw(deltaShape({ key: BSON.serialize({ _id: 1 }), update: BSON.serialize({ updatedFields, ...more }) }));
  assert.deepEqual(shown({ "address.zip": "2" }, { disambiguatedPaths: {} }), []);
  assert.deepEqual(shown({ "address.floor": 3 }), []);
  assert.deepEqual(shown({ "address.floor": 3, sex: "F" }, { disambiguatedPaths: {} }), [
    "address.floor:int:field",
    "sex:string:field",
  ]);
  assert.deepEqual(shown({ "orders.0.price": 1, "orders.1": { sku: 7 } }), []);
  assert.deepEqual(shown({ "orders.0.price": 1, "orders.1": { sku: 7 } }, { disambiguatedPaths: {} }), [
    "orders.price:int:field",
    "orders.sku:int:type",
  ]);
  assert.deepEqual(shown({ "map.0": 1 }, { disambiguatedPaths: { "map.0": ["map", "0"] } }), []);
  assert.deepEqual(shown({}), []);
});

test("any batch takes counts of what the ledger has along, also from another partition; what is new waits for its own", () => {
  const drift = new DriftObserver(8);
  drift.know("elsewhere", 16, "field").verdict = "pass";
  const [found] = drift
    .observe(BSON.serialize({ elsewhere: 1, fresh: 2 }), 1n, 0)
    .filter(({ path }) => path === "fresh");
  assert.ok(found !== undefined);
  found.verdict = "pass";
  const counted = () => drift.takeCounts().map(({ entry, count }) => [entry.path, count]);
  assert.equal(drift.hasCounts, true);
  assert.deepEqual(counted(), [["elsewhere", 1]]);
  assert.equal(drift.hasCounts, false);
  found.stored = true;
  assert.deepEqual(counted(), [["fresh", 1]]);
});
