import assert from "node:assert/strict";
import { test } from "node:test";
import { BSON, Decimal128, type Document, Double, Long, ObjectId } from "bson";
import { comparesText, compileWhere } from "#route/filter/where.ts";

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
  [{ a: { $exists: 1 } }, { a: 0 }, true],
  [{ a: { $exists: 0 } }, { a: 0 }, false],
  [{ "v.0": 5 }, { v: [5] }, true],
  [{ "v.0": 5 }, { v: { 0: 5 } }, true],
  [{ at: { $date: "2020-01-31" } }, { at: new Date("2020-01-31T00:00:00Z") }, true],
  [{ n: { $numberLong: "9007199254740993" } }, { n: Long.fromString("9007199254740992") }, false],
];

test("a condition means what the server means by it", () => {
  for (const [where, doc, expected] of CASES)
    assert.equal(holds(where, doc), expected, `${JSON.stringify(where)} on ${BSON.EJSON.stringify(doc)}`);
});

test("what ferry cannot answer as the server does is refused with its reason", () => {
  const refused = (where: Document, sentence: RegExp): void => assert.throws(() => compileWhere(where), sentence);
  refused({ a: { $regex: "x" } }, /a: \$regex is not known; there are/);
  refused({ a: { toString: 1, $gt: 1 } }, /a: \$gt inside of a value is not an operator/);
  refused({ a: { $gt: 1, toString: 1 } }, /a: toString is not known; there are/);
  refused({ $where: "1" }, /\$where is not known; there are \$and, \$or, \$nor/);
  refused({ $or: [] }, /needs a list/);
  refused({ $or: [{ a: 1 }, 5] }, /needs a list of conditions/);
  refused({ a: { $in: 5 } }, /\$in and \$nin need a list/);
  refused({ a: { $in: [{ $gt: 5 }] } }, /\$gt inside of a value is not an operator; use a dotted path/);
  refused({ a: { b: { $gt: 5 } } }, /\$gt inside of a value is not an operator; use a dotted path/);
  refused({ a: { $not: 5 } }, /\$not needs operators/);
  refused({ a: { $not: {} } }, /\$not needs operators/);
  refused({ a: { $exists: "yes" } }, /\$exists needs true or false/);
  refused({ "a..b": 1 }, /is not a path/);
});

test("a value that would become another one on its way to BSON is refused", () => {
  const refused = (a: unknown, sentence: RegExp): void => assert.throws(() => compileWhere({ a }), sentence);
  refused(2 ** 60, /1152921504606847000 may have lost digits; write {\$numberLong/);
  refused({ $numberLong: "9223372036854775808" }, /\$numberLong needs the text of an integer of 64 bits/);
  refused({ $numberInt: "1.5" }, /\$numberInt needs/);
  refused({ $numberDouble: "five" }, /\$numberDouble needs/);
  refused({ $numberDecimal: "1E9999" }, /\$numberDecimal needs/);
  refused({ $date: "yesterday" }, /a: \$date needs "2020-01-31T12:00:00Z" \(with its zone\)/);
  refused({ $date: "2020-01-31T12:00:00" }, /with its zone/);
  refused({ $date: "2023-02-30" }, /\$date needs/);
  refused({ $oid: "64b7" }, /\$oid needs 24 hexadecimal digits/);
  refused({ $uuid: "64b7" }, /\$uuid needs a UUID/);
  refused({ $binary: { base64: "?", subType: "00" } }, /\$binary needs/);
  refused({ $timestamp: { t: -1, i: 0 } }, /\$timestamp needs/);
  refused({ b: 1, "0": 2 }, /names that are numbers lose their order/);
  refused("\ud800", /not valid Unicode/);
});

test("a filter compares text where it gives a string, and not where it gives numbers, ids or dates", () => {
  assert.ok(comparesText({ $or: [{ age: 5 }, { name: { $in: ["x"] } }] }));
  assert.ok(!comparesText({ id: { $oid: "64b7f0c2a1b2c3d4e5f60718" }, at: { $gt: { $date: "2020-01-31" } }, age: 5 }));
});
