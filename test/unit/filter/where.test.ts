import assert from "node:assert/strict";
import { test } from "node:test";
import { BSON, Decimal128, type Document, Double, Long, ObjectId } from "bson";
import { compileWhere } from "#filter/where.ts";

const holds = (where: Document, doc: Document): boolean => compileWhere(where)(BSON.serialize(doc));

const CASES: readonly (readonly [Document, Document, boolean])[] = [
  [{ age: 18 }, { age: new Double(18) }, true],
  [{ age: 18 }, { age: Long.fromNumber(18) }, true],
  [{ age: 18 }, { age: Decimal128.fromString("18.0") }, true],
  [{ age: 18 }, { age: "18" }, false],
  [{ age: { $gte: 18, $lt: 30 } }, { age: 18 }, true],
  [{ age: { $gte: 18, $lt: 30 } }, { age: 30 }, false],
  [{ age: { $gt: 1 } }, { age: Long.fromString("9007199254740993") }, true],
  [{ age: { $gt: 1 } }, { age: "2" }, false],
  [{ age: { $gt: 1 } }, {}, false],
  [{ "a.b": "x" }, { a: { b: "x" } }, true],
  [{ "a.b": "x" }, { a: [{ b: "y" }, { b: "x" }] }, true],
  [{ tags: "x" }, { tags: ["y", "x"] }, true],
  [{ tags: ["y", "x"] }, { tags: ["y", "x"] }, true],
  [{ a: null }, {}, true],
  [{ a: null }, { a: null }, true],
  [{ a: null }, { a: 0 }, false],
  [{ a: { $ne: 1 } }, {}, true],
  [{ a: { $ne: 1 } }, { a: [1, 2] }, false],
  [{ a: { $in: [1, "x"] } }, { a: "x" }, true],
  [{ a: { $nin: [1, "x"] } }, { a: 1.0 }, false],
  [{ a: { $exists: true } }, { a: null }, true],
  [{ a: { $exists: false } }, {}, true],
  [{ a: { $not: { $gt: 5 } } }, { a: 3 }, true],
  [{ $or: [{ a: 1 }, { b: 2 }] }, { b: 2 }, true],
  [{ $nor: [{ a: 1 }, { b: 2 }] }, { c: 2 }, true],
  [{ $and: [{ a: 1 }, { b: 2 }] }, { a: 1, b: 3 }, false],
  [{ _id: { $oid: "64b7f0c2a1b2c3d4e5f60718" } }, { _id: new ObjectId("64b7f0c2a1b2c3d4e5f60718") }, true],
  [{ at: { $gt: { $date: "2020-01-01T00:00:00Z" } } }, { at: new Date("2021-01-01") }, true],
  [{ a: { b: 1, c: 2 } }, { a: { b: 1, c: 2 } }, true],
  [{ a: { b: 1, c: 2 } }, { a: { c: 2, b: 1 } }, false],
];

test("a condition means what the server means by it", () => {
  for (const [where, doc, expected] of CASES)
    assert.equal(holds(where, doc), expected, `${JSON.stringify(where)} on ${BSON.EJSON.stringify(doc)}`);
});

test("what cannot be answered without a server is refused by name", () => {
  assert.throws(() => compileWhere({ a: { $regex: "x" } }), /a: \$regex is not known; there are/);
  assert.throws(() => compileWhere({ $where: "1" }), /\$where is not known; there are \$and, \$or, \$nor/);
  assert.throws(() => compileWhere({ $or: [] }), /needs a list/);
  assert.throws(() => compileWhere({ a: { $gt: { b: 1 } } }), /\$gt needs a number/);
  assert.throws(() => compileWhere({ a: { $in: 5 } }), /\$in needs a list/);
});
