import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { hashIdentity, identityOf } from "#base/bson/identity.ts";
import { anyValue, encode, type Fields, type Value } from "./arbitrary.ts";
import { closeValues, decimalOf, referenceIdentity } from "./reference.ts";

const key = (value: Value, ...more: Fields): Buffer => encode([["_id", value], ...more]);
const same = (a: Value, b: Value): boolean => identityOf(key(a)) === identityOf(key(b));

const int = (v: number): Value => ({ t: "int32", v });
const long = (v: bigint): Value => ({ t: "int64", v });
const double = (v: number): Value => ({ t: "double", v });
const text = (v: string): Value => ({ t: "string", v });
const object = (...v: Fields): Value => ({ t: "object", v });

/** Each group is one `_id` for MongoDB; values of different groups are different. */
const groups: readonly (readonly Value[])[] = [
  [int(1), long(1n), double(1), decimalOf("1"), decimalOf("1.0"), decimalOf("100E-2")],
  [int(0), long(0n), double(0), double(-0), decimalOf("0"), decimalOf("-0"), decimalOf("0E+6000")],
  [int(-7), long(-7n), double(-7), decimalOf("-7.000")],
  [double(Number.NaN), decimalOf("NaN")],
  [double(Infinity), decimalOf("Infinity")],
  [double(-Infinity), decimalOf("-Infinity")],
  [double(0.1)],
  [decimalOf("0.1"), decimalOf("0.10")],
  [double(0.5), decimalOf("0.5"), decimalOf("5E-1")],
  [double(2 ** 53), long(2n ** 53n), decimalOf("9007199254740992")],
  [long(2n ** 53n + 1n), decimalOf("9007199254740993")],
  [double(2 ** 62), long(2n ** 62n), decimalOf("4611686018427387904")],
  [double(1e22), decimalOf("1E22"), decimalOf("10E21")],
  [decimalOf("1E6000")],
  [long(-(2n ** 63n)), double(-(2 ** 63)), decimalOf("-9223372036854775808")],
  [text("a"), { t: "symbol", v: "a" }],
  [text("")],
  [text("1")],
  [{ t: "code", v: "a" }],
  [object(["a", int(1)]), object(["a", double(1)])],
  [object(["a", int(1)], ["b", int(2)]), object(["a", long(1n)], ["b", decimalOf("2.0")])],
  [object(["b", int(2)], ["a", int(1)])],
  [object(["a", object(["b", text("x")])]), object(["a", object(["b", { t: "symbol", v: "x" }])])],
  [object(["a", int(1)], ["}", int(2)])],
  [object(["a", { t: "array", v: [int(1)] }]), object(["a", { t: "array", v: [double(1)] }])],
  [object(["a", object(["0", int(1)])])],
  [object()],
  [{ t: "null" }],
  [{ t: "boolean", v: true }],
  [{ t: "boolean", v: false }],
  [{ t: "date", v: 1n }],
  [{ t: "timestamp", seconds: 0, increment: 1 }],
  [{ t: "binary", sub: 0, v: Uint8Array.of(1) }],
  [{ t: "binary", sub: 5, v: Uint8Array.of(1) }],
  [{ t: "objectId", v: new Uint8Array(12) }],
  [
    { t: "scoped", v: "f", scope: [["a", int(1)]] },
    { t: "scoped", v: "f", scope: [["a", long(1n)]] },
  ],
  [{ t: "minKey" }],
  [{ t: "maxKey" }],
];

test("values that MongoDB holds to be one _id share an identity and a hash, others differ", () => {
  for (const [i, group] of groups.entries()) {
    for (const [j, other] of groups.entries()) {
      for (const a of group) {
        for (const b of other) {
          assert.equal(
            same(a, b),
            i === j,
            `${JSON.stringify([a, b], (_, v) => (typeof v === "bigint" ? String(v) : v))}`,
          );
          if (i === j) assert.equal(hashIdentity(key(a)), hashIdentity(key(b)));
        }
      }
    }
  }
});

test("identity agrees with exact arithmetic on random values", () => {
  fc.assert(
    fc.property(closeValues, ([a, b]) => {
      const equal = referenceIdentity(a) === referenceIdentity(b);
      assert.equal(same(a, b), equal);
      if (equal) assert.equal(hashIdentity(key(a)), hashIdentity(key(b)));
    }),
    { numRuns: 5000 },
  );
});

test("only _id counts, wherever it stands in the documentKey", () => {
  fc.assert(
    fc.property(anyValue, anyValue, (id, region) => {
      const alone = key(id);
      const after = encode([
        ["region", region],
        ["_id", id],
      ]);
      const before = key(id, ["region", region]);
      assert.equal(identityOf(after), identityOf(alone));
      assert.equal(identityOf(before), identityOf(alone));
      assert.equal(hashIdentity(after), hashIdentity(alone));
      assert.equal(hashIdentity(before), hashIdentity(alone));
    }),
  );
});

test("all NaN payloads are one", () => {
  const quiet = encode([["_id", double(Number.NaN)]]);
  const payload = Buffer.from(quiet);
  payload[9] = 0x2a;
  payload[16] = 0xff;
  assert.equal(identityOf(payload), identityOf(quiet));
});

const makers: Readonly<Record<string, (n: number) => Value>> = {
  int32: int,
  "int32 in steps of 8": (n) => int(n * 8),
  "counted strings": (n) => text(`user-${n}`),
  "ObjectIds of one second": (n) => ({ t: "objectId", v: Buffer.from(n.toString(16).padStart(24, "6"), "hex") }),
  fractions: (n) => double(n + 0.25),
};

for (const [what, make] of Object.entries(makers)) {
  test(`hashes spread evenly over slices: ${what}`, () => {
    const hashes = Array.from({ length: 7000 }, (_, n) => hashIdentity(key(make(n + 0x100000))));
    for (const slices of [2, 3, 4, 7, 8, 16]) {
      const counts = new Array<number>(slices).fill(0);
      for (const hash of hashes) counts[hash % slices] = (counts[hash % slices] ?? 0) + 1;
      const expected = hashes.length / slices;
      assert.ok(
        counts.every((count) => Math.abs(count - expected) < 6 * Math.sqrt(expected)),
        `${slices} slices: ${counts}`,
      );
    }
  });
}

test("a documentKey without _id is a bug of the caller", () => {
  assert.throws(() => identityOf(encode([["a", int(1)]])), /FERRY_BUG/);
});
