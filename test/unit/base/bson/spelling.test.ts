import assert from "node:assert/strict";
import { test } from "node:test";
import { BSON, Decimal128, Double, Int32, Long } from "bson";
import fc from "fast-check";
import { identityOf } from "#base/bson/identity.ts";
import { bearsText, isAmbiguous, plainSpelling, spellingsOf } from "#base/bson/spelling.ts";
import { encode } from "./arbitrary.ts";
import { closeValues } from "./reference.ts";

const plain = (key: Uint8Array): Buffer => Buffer.from(plainSpelling(key) ?? key);

test("_ids have one plain spelling exactly where they are one, and differ in bytes only where spellings do", () => {
  fc.assert(
    fc.property(closeValues, ([a, b]) => {
      const [one, other] = [encode([["_id", a]]), encode([["_id", b]])];
      const same = identityOf(one) === identityOf(other);
      assert.equal(plain(one).equals(plain(other)), same);
      assert.equal(identityOf(plain(one)), identityOf(one));
      assert.ok(plain(plain(one)).equals(plain(one)));
      if (same && !one.equals(other)) assert.ok(isAmbiguous([...spellingsOf(one), ...spellingsOf(other)]));
    }),
    { numRuns: 2000 },
  );
});

test("the usual _ids are spelled plainly as they are", () => {
  const usual = [
    new Int32(5),
    Long.fromString("1795965874000"),
    new Double(2.5),
    "text",
    new BSON.ObjectId(),
    { a: "x", n: 1 },
  ];
  for (const _id of usual) {
    const key = BSON.serialize({ _id });
    assert.ok(plain(key).equals(Buffer.from(key)), JSON.stringify(_id));
  }
  for (const _id of [Long.fromNumber(5), new Double(5), Decimal128.fromString("5.00")])
    assert.ok(plain(BSON.serialize({ _id })).equals(Buffer.from(BSON.serialize({ _id: new Int32(5) }))));
});

test("other possible spellings are named by path and family", () => {
  const of = (_id: unknown): readonly string[] => spellingsOf(BSON.serialize({ _id }));
  assert.deepEqual(of({ a: [Long.ONE, { b: "x" }], d: new Date(0) }), ["_id.a.[] n long", "_id.a.[].b s string"]);
  assert.equal(isAmbiguous([...of(new Int32(1)), ...of("1")]), false);
  assert.equal(isAmbiguous([...of(new Int32(1)), ...of(new Double(2))]), true);
  assert.equal(isAmbiguous([...of({ a: new Int32(1), b: new Double(2) })]), false);
  assert.equal(isAmbiguous([...of(Decimal128.fromString("1.0")), ...of(Decimal128.fromString("2.00"))]), true);
  assert.equal(bearsText(BSON.serialize({ _id: { a: [{ b: "x" }] } })), true);
  assert.equal(bearsText(BSON.serialize({ _id: { x: 1 }, text: "x" })), false);
});
