import assert from "node:assert/strict";
import { test } from "node:test";
import { BSON, Decimal128, Double, Int32, Long } from "bson";
import { differenceOf } from "#proof/verify/difference.ts";

const raw = (document: BSON.Document): Uint8Array => BSON.serialize(document);
const CASES: readonly [string, BSON.Document, BSON.Document, ReturnType<typeof differenceOf>][] = [
  ["equal documents", { _id: 1, a: { b: 2 } }, { _id: 1, a: { b: 2 } }, undefined],
  [
    "Int32 turned Int64",
    { _id: 1, n: new Int32(5) },
    { _id: 1, n: Long.fromNumber(5) },
    { kind: "number-type", path: "n" },
  ],
  [
    "a Decimal128 of the same value, nested in an array",
    { _id: 1, a: [{ n: new Int32(5) }] },
    { _id: 1, a: [{ n: Decimal128.fromString("5") }] },
    { kind: "number-type", path: "a.0.n" },
  ],
  ["-0.0 turned 0.0", { _id: 1, n: new Double(-0) }, { _id: 1, n: new Double(0) }, { kind: "value", path: "n" }],
  ["field order", { _id: 1, a: 1, b: 2 }, { _id: 1, b: 2, a: 1 }, { kind: "field-order", path: "" }],
  [
    "field order below",
    { _id: 1, o: { a: 1, b: 2 } },
    { _id: 1, o: { b: 2, a: 1 } },
    { kind: "field-order", path: "o" },
  ],
  ["a missing field", { _id: 1, a: 1, b: 2 }, { _id: 1, a: 1 }, { kind: "value", path: "b" }],
  ["a field too many", { _id: 1, a: 1 }, { _id: 1, a: 1, b: 2 }, { kind: "value", path: "b" }],
  [
    "the worst of several, although an order differs first",
    { _id: 1, a: 1, b: new Int32(2), c: "x" },
    { _id: 1, b: Long.fromNumber(2), a: 1, c: "y" },
    { kind: "value", path: "c" },
  ],
  ["array elements in another order", { _id: 1, a: [1, 2] }, { _id: 1, a: [2, 1] }, { kind: "value", path: "a.0" }],
  ["a string turned number", { _id: 1, a: "1" }, { _id: 1, a: 1 }, { kind: "value", path: "a" }],
];

for (const [what, expected, actual, difference] of CASES)
  test(`tells apart: ${what}`, () => assert.deepEqual(differenceOf(raw(expected), raw(actual)), difference));

test("a name that is there twice: the second meets the second", () => {
  const double = (first: number, second: number): Uint8Array => {
    const one = BSON.serialize({ a: first });
    const two = BSON.serialize({ a: second });
    const body = Buffer.concat([one.subarray(4, -1), two.subarray(4, -1)]);
    const out = Buffer.alloc(body.length + 5);
    out.writeInt32LE(out.length, 0);
    body.copy(out, 4);
    return out;
  };
  assert.equal(differenceOf(double(1, 2), double(1, 2)), undefined);
  assert.deepEqual(differenceOf(double(1, 2), double(1, 3)), { kind: "value", path: "a" });
});
