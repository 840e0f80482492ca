import assert from "node:assert/strict";
import { test } from "node:test";
import { Decimal128 } from "bson";
import fc from "fast-check";
import { formatDecimal, parseDecimal, readDecimal, writeDecimal } from "#base/bson/decimal.ts";

const bytesOf = (text: string): string => {
  const value = parseDecimal(text);
  assert.ok(value !== undefined, text);
  const bytes = Buffer.alloc(16);
  writeDecimal(bytes, 0, value);
  return bytes.toString("hex");
};

const written = fc
  .tuple(
    fc.constantFrom("", "-"),
    fc.bigInt({ min: 0n, max: 10n ** 34n - 1n }),
    fc.oneof(fc.integer({ min: -6176, max: 6111 }), fc.integer({ min: -40, max: 40 })),
  )
  .map(([sign, coefficient, exponent]) => `${sign}${coefficient}E${exponent}`);

test("text becomes the same 16 bytes as in the reference implementation, and the same text again", () => {
  fc.assert(
    fc.property(written, (text) => {
      const reference = Decimal128.fromString(text);
      const bytes = Buffer.from(reference.bytes);
      assert.equal(bytesOf(text), bytes.toString("hex"));
      assert.equal(formatDecimal(readDecimal(bytes, 0)), reference.toString());
      assert.equal(bytesOf(reference.toString()), bytes.toString("hex"));
    }),
    { numRuns: 1000 },
  );
});

for (const text of [
  "NaN",
  "Infinity",
  "-Infinity",
  "0",
  "-0",
  "0E+6111",
  "-0E-6176",
  "1.000",
  ".5",
  "5.",
  "1E6144",
  "+7",
]) {
  test(`reads ${text} as the reference does`, () => {
    assert.equal(bytesOf(text), Buffer.from(Decimal128.fromString(text).bytes).toString("hex"));
  });
}

test("text that is no Decimal128, or would lose digits, is refused", () => {
  for (const text of ["", ".", "1e", "0x5", "1 ", "--1", "1E7000", "1E-7000", "12345678901234567890123456789012345"]) {
    assert.equal(parseDecimal(text), undefined, text);
  }
});

test("zeros at the end make room for an exponent out of range", () => {
  assert.equal(bytesOf("1E6114"), bytesOf("1000E6111"));
  assert.equal(bytesOf("10E-6177"), bytesOf("1E-6176"));
  assert.equal(bytesOf("0E-9999"), bytesOf("0E-6176"));
});
