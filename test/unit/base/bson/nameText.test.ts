import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { nameBytes, nameText } from "#base/bson/nameText.ts";

const bytes = (...of: number[]): Buffer => Buffer.from(of);

test("a name's text leads back to its bytes, whatever they are, and is the name itself where that is plain", () => {
  const odd = fc.uint8Array({ maxLength: 12 });
  const near = fc.array(fc.constantFrom("\\", "x", "5c", "ff", "ü", "𝄞", "\uFFFD", "a.b"), { maxLength: 8 });
  const mixed = fc.tuple(odd, near, odd).map(([a, b, c]) => Buffer.concat([a, Buffer.from(b.join("")), c]));
  fc.assert(
    fc.property(mixed, (name) => assert.deepEqual(nameBytes(nameText(name)), name)),
    { numRuns: 5000 },
  );
  fc.assert(
    fc.property(fc.string({ unit: "grapheme" }), (name) => {
      if (!name.includes("\\x")) assert.equal(nameText(Buffer.from(name)), name);
    }),
  );
});

test("names as they are documented", () => {
  assert.equal(nameText(bytes(0xff)), "\\xff");
  assert.equal(nameText(bytes(0x61, 0xfe, 0x62)), "a\\xfeb");
  assert.equal(nameText(Buffer.from("\\xff")), "\\x5cxff");
  assert.equal(nameText(Buffer.from("-name-"), 1, 5), "name");
  assert.equal(nameText(bytes(0xed, 0xa0, 0x80)), "\\xed\\xa0\\x80"); // half a surrogate pair
});
