import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { MongoClient } from "mongodb";
import { identityOf } from "#base/bson/identity.ts";
import { isAmbiguous, plainSpelling, spellingsOf } from "#base/bson/spelling.ts";
import { homeOf } from "#io/log/places.ts";
import { rawInsert } from "#io/mongo/rawWrites.ts";
import { sharedMongo } from "../harness/servers.ts";
import { encode, type Value } from "../unit/base/bson/arbitrary.ts";
import { closeValues, decimalOf } from "../unit/base/bson/reference.ts";

const DUPLICATE_KEY = 11000;

const double = (v: number): Value => ({ t: "double", v });
const object = (name: string, value: Value): Value => ({ t: "object", v: [[name, value]] });

/** A coefficient beyond 34 digits and a NaN with a payload: encodings that no text form produces. */
const rawDecimal = (high: bigint, low: bigint): Value => {
  const bytes = Buffer.alloc(16);
  bytes.writeBigUInt64LE(low, 0);
  bytes.writeBigUInt64LE(high, 8);
  return { t: "decimal", v: "", bytes };
};

const corners: readonly (readonly [Value, Value])[] = [
  [double(0.1), decimalOf("0.1")],
  [double(0.1), decimalOf("0.1000000000000000055511151231257827")],
  [double(0.5), decimalOf("0.5")],
  [double(-0), { t: "int32", v: 0 }],
  [double(-0), decimalOf("-0E+6111")],
  [double(Number.NaN), decimalOf("NaN")],
  [double(Infinity), decimalOf("Infinity")],
  [double(2 ** 63), { t: "int64", v: 2n ** 63n - 1n }],
  [double(2 ** 53), { t: "int64", v: 2n ** 53n + 1n }],
  [double(5e-324), decimalOf("4.940656458412465441765687928682214E-324")],
  [double(1e308), decimalOf("1E308")],
  [rawDecimal(0x7c00_0000_0000_0001n, 7n), double(Number.NaN)],
  [rawDecimal(0x3041_ed09_bead_87c0n, 0x378d_8e64_0000_0000n), { t: "int32", v: 0 }],
  [rawDecimal(0x6c10_0000_0000_0000n, 5n), { t: "int32", v: 0 }],
  [object("a", { t: "undefined" }), object("a", { t: "null" })],
  [object("a", { t: "string", v: "x" }), object("a", { t: "symbol", v: "x" })],
  [object("a", { t: "code", v: "x" }), object("a", { t: "string", v: "x" })],
  [object("a", { t: "array", v: [double(1)] }), object("a", object("0", double(1)))],
  [
    { t: "binary", sub: 3, v: new Uint8Array(16) },
    { t: "binary", sub: 4, v: new Uint8Array(16) },
  ],
  [
    { t: "date", v: 0n },
    { t: "timestamp", seconds: 0, increment: 0 },
  ],
];

test("two _ids are one identity exactly where mongod refuses the second as a duplicate", async () => {
  const { uri } = await sharedMongo();
  await using client = await new MongoClient(uri).connect();
  const db = client.db("identity");
  const pairs = [...corners, ...fc.sample(closeValues, { numRuns: 300, seed: 20261123 })];
  let [equal, different, refused] = [0, 0, 0];
  for (const [a, b] of pairs) {
    const keys = [encode([["_id", a]]), encode([["_id", b]])] as const;
    const { errors } = await rawInsert(keys, { db, coll: "ids", ordered: false });
    await db.collection("ids").deleteMany({});
    const codes = errors.map((error) => error.code);
    if (codes.some((code) => code !== DUPLICATE_KEY)) {
      refused++; // arrays, regexes and undefined cannot be an _id at all
      continue;
    }
    const same = identityOf(keys[0]) === identityOf(keys[1]);
    assert.equal(same, codes.length === 1, `${keys[0].toString("hex")} and ${keys[1].toString("hex")}`);
    const [one, other] = keys.map((key) => plainSpelling(key) ?? key);
    assert.equal(same, Buffer.compare(one as Uint8Array, other as Uint8Array) === 0, "one plain spelling for one _id");
    if (same) assert.equal(homeOf(keys[0], 7), homeOf(keys[1], 7));
    const spelled = keys.flatMap(spellingsOf);
    if (same && !keys[0].equals(keys[1])) assert.ok(isAmbiguous(spelled), spelled.join());
    if (same) equal++;
    else different++;
  }
  assert.ok(
    equal > 60 && different > 60,
    `the sample says something: ${equal} equal, ${different} different, ${refused} refused`,
  );
});
