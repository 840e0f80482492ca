import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { readable } from "#io/wire/readable.ts";
import { encode } from "../../base/bson/arbitrary.ts";

test("BSON shows as extended JSON, text as itself, other bytes in hexadecimal", () => {
  assert.equal(readable(encode([["_id", { t: "int32", v: 1 }]])), '{"_id":1}');
  assert.equal(readable(Buffer.from('{"_id": 1}')), '{"_id": 1}');
  assert.equal(readable(Buffer.from("ff00fe", "hex")), "0xff00fe");
  assert.equal(readable(null), "NULL");
});

test("control characters cannot reach the terminal, nor break the line", () => {
  assert.equal(readable(Buffer.from("a\nb\u001b[2J\u0085")), "a\\nb\\u001b[2J\\u0085");
});

test("long records are cut, also in the middle of a character", () => {
  assert.equal(readable(Buffer.from("абвгд"), { limit: 3 }), "абв…");
  assert.equal(readable(Buffer.from("abc"), { limit: 3 }), "abc");
  assert.equal(readable(encode([["a", { t: "string", v: "x".repeat(1000) }]]), { limit: 8 }), '{"a":"xx…');
});

test("any bytes are one line, and no longer than asked", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.integer({ min: 1, max: 60 }), (bytes, limit) => {
      const text = readable(bytes, { limit });
      assert.ok(text.length <= limit + 1);
      assert.ok(!text.includes("\n"));
    }),
    { numRuns: 1000 },
  );
});
