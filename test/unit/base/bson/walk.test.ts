import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { BsonType, Cursor, find, isDocument, MAX_DEPTH, rawValue, validate } from "#base/bson/walk.ts";
import { anyFields, encode, type Fields, type Value } from "./arbitrary.ts";

const names = (bytes: Uint8Array): string[] => {
  const cursor = new Cursor();
  const seen: string[] = [];
  assert.ok(cursor.open(bytes));
  while (cursor.next()) seen.push(Buffer.from(bytes.subarray(cursor.nameStart, cursor.nameEnd)).toString());
  assert.equal(cursor.broken, false);
  return seen;
};

test("the cursor steps over elements of every type in order", () => {
  fc.assert(
    fc.property(anyFields, (fields) => {
      const bytes = encode(fields);
      assert.ok(isDocument(bytes));
      assert.equal(validate(bytes), undefined);
      assert.deepEqual(
        names(bytes),
        fields.map(([name]) => name),
      );
    }),
    { numRuns: 500 },
  );
});

test("the raw value of a field is the field's bytes", () => {
  const inner: Fields = [["x", { t: "int32", v: 5 }]];
  const bytes = encode([
    ["a", { t: "string", v: "A" }],
    ["b", { t: "object", v: inner }],
    ["b", { t: "null" }],
  ]);
  assert.deepEqual(Buffer.from(rawValue(bytes, "b") ?? []), encode(inner));
  assert.equal(find(bytes, "a")?.type, BsonType.string);
  assert.equal(find(bytes, "c"), undefined);
});

test("a document read from the middle of other bytes is the same document", () => {
  const bytes = encode([["a", { t: "int32", v: 1 }]]);
  const around = Buffer.concat([Buffer.alloc(7, 0xff), bytes, Buffer.alloc(9, 0xff)]);
  const cursor = new Cursor();
  assert.ok(cursor.open(around, 7));
  assert.ok(cursor.next());
  assert.equal(cursor.valueStart, 7 + 7);
  assert.equal(cursor.next(), false);
  assert.equal(cursor.broken, false);
});

test("every cut and every foreign length is noticed", () => {
  fc.assert(
    fc.property(anyFields, fc.nat(), (fields, where) => {
      const bytes = encode(fields);
      const cut = bytes.subarray(0, where % bytes.length);
      assert.notEqual(validate(cut), undefined);
      assert.equal(isDocument(Buffer.concat([bytes, Buffer.of(0)])), false);
    }),
  );
});

test("changed bytes never make reading throw or run out of bounds", () => {
  fc.assert(
    fc.property(
      anyFields,
      fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), { minLength: 1, maxLength: 4 }),
      (fields, changes) => {
        const bytes = encode(fields);
        for (const [at, byte] of changes) bytes[at % bytes.length] = byte;
        const cursor = new Cursor();
        if (cursor.open(bytes)) while (cursor.next()) assert.ok(cursor.valueEnd < bytes.length);
        validate(bytes);
      },
    ),
    { numRuns: 2000 },
  );
});

const nest = (levels: number): Value => {
  let value: Value = { t: "null" };
  for (let i = 0; i < levels; i++)
    value = i % 2 === 0 ? { t: "object", v: [["a", value]] } : { t: "array", v: [value] };
  return value;
};

test("nesting is validated to the server's depth and refused beyond", () => {
  assert.equal(validate(encode([["a", nest(MAX_DEPTH)]])), undefined);
  assert.match(validate(encode([["a", nest(MAX_DEPTH + 1)]])) ?? "", /nested deeper than 250 levels/);
});

const flaws: readonly (readonly [string, string, RegExp])[] = [
  ["unknown type", "0a000000200061000000", /has the unknown type 0x20/],
  ["boolean of 2", "090000000861000200", /boolean that is neither 0 nor 1/],
  ["string without its zero", "0e00000002610002000000414200", /damaged lengths; its type is 0x02/],
  ["string of no bytes", "0c0000000261000000000000", /damaged lengths/],
  ["binary longer than the document", "0d000000056100ff0000000000", /damaged lengths/],
  ["no closing zero", "0500000001", /closing zero is missing/],
  ["too short", "0400", /2 bytes are too few/],
  ["an inner document without its end", "0d000000036100050000000100", /damaged lengths/],
];
for (const [what, hex, expected] of flaws) {
  test(`validation names the flaw: ${what}`, () => {
    assert.match(validate(Buffer.from(hex, "hex")) ?? "none", expected);
  });
}

test("a flaw below the top level is found, unless only the top level is asked for", () => {
  const inner = Buffer.from("090000000861000200", "hex");
  const bytes = Buffer.concat([Buffer.from("110000000362", "hex"), Buffer.of(0), inner, Buffer.of(0)]);
  assert.match(validate(bytes) ?? "", /boolean/);
  assert.equal(validate(bytes, { nested: false }), undefined);
});
