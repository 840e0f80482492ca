import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { BSON } from "bson";
import fc from "fast-check";
import { Digest } from "#proof/verify/digest.ts";

/** The definition, as a third party would write it. */
const plain = (documents: readonly Uint8Array[]): string => {
  const sum = documents.reduce(
    (total, document) => total + BigInt(`0x${createHash("sha256").update(document).digest("hex")}`),
    0n,
  );
  return (sum % 2n ** 256n).toString(16).padStart(64, "0");
};

test("is the sum of the documents' SHA-256 modulo 2^256, in any order and in any parts", () => {
  fc.assert(
    fc.property(fc.array(fc.integer(), { maxLength: 30 }), fc.nat(30), (values, cut) => {
      const documents = values.map((value) => BSON.serialize({ value }));
      const whole = new Digest();
      for (const document of documents.toReversed()) whole.add(document);
      assert.equal(whole.sum(), plain(documents));
      const parts = new Digest();
      for (const part of [documents.slice(0, cut), documents.slice(cut)]) {
        const digest = new Digest();
        for (const document of part) digest.add(document);
        parts.merge(digest.sum(), digest.count);
      }
      assert.deepEqual([parts.sum(), parts.count], [plain(documents), documents.length]);
    }),
  );
});
