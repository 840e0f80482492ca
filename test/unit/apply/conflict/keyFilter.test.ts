import assert from "node:assert/strict";
import { test } from "node:test";
import { BSON, Int32, Long } from "bson";
import fc from "fast-check";
import { KeyFilter } from "#apply/conflict/keyFilter.ts";
import { encode } from "../../base/bson/arbitrary.ts";
import { closeValues } from "../../base/bson/reference.ts";

const keyOf = (id: unknown): Uint8Array => BSON.serialize({ _id: id });

test("a key that was added is found, in any spelling of its _id that is the same one to MongoDB", () => {
  const filter = new KeyFilter();
  fc.assert(
    fc.property(closeValues, ([one]) => {
      const key = encode([["_id", one]]);
      filter.add(key);
      assert.ok(filter.mayHave(key));
    }),
  );
  filter.add(keyOf(new Int32(7)));
  assert.ok(filter.mayHave(keyOf(Long.fromNumber(7))));
});

test("it has nothing before the first key, and is seldom wrong about keys that were not added", () => {
  const filter = new KeyFilter();
  const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => keyOf(new Int32(from + i)));
  assert.deepEqual(
    range(0, 1000).filter((key) => filter.mayHave(key)),
    [],
  );
  for (const key of range(0, 20_000)) filter.add(key);
  const wrong = range(20_000, 40_000).filter((key) => filter.mayHave(key)).length;
  assert.ok(wrong < 20, `${wrong} of 20000`);
});
