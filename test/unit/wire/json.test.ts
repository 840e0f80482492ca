import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Transcoder } from "#wire/json/transcode.ts";
import {
  anyFields,
  canonical,
  encode,
  type Fields,
  legacy,
  relaxed,
  survivesLegacy,
  type Value,
} from "../bson/arbitrary.ts";

const transcoder = new Transcoder();
const transcode = (text: string): string =>
  transcoder.document(Buffer.from(text))?.toString("hex") ?? transcoder.problem;

const doc = (v: Fields): Value => ({ t: "object", v });

test("canonical extended JSON becomes the bytes it stands for", () => {
  fc.assert(
    fc.property(anyFields, (fields) => {
      assert.equal(transcode(canonical(doc(fields))), encode(fields).toString("hex"));
    }),
    { numRuns: 1000 },
  );
});

test("the connector's legacy JSON becomes the bytes it stands for", () => {
  fc.assert(
    fc.property(anyFields, (fields) => {
      fc.pre(survivesLegacy(doc(fields)));
      assert.equal(transcode(legacy(doc(fields))), encode(fields).toString("hex"));
    }),
    { numRuns: 1000 },
  );
});

/** Relaxed JSON does not keep int64 apart from int32. */
const shrinkLongs = (value: Value): Value => {
  switch (value.t) {
    case "int64":
      return value.v === BigInt.asIntN(32, value.v) ? { t: "int32", v: Number(value.v) } : value;
    case "object":
      return { ...value, v: value.v.map(([name, item]) => [name, shrinkLongs(item)] as const) };
    case "scoped":
      return { ...value, scope: value.scope.map(([name, item]) => [name, shrinkLongs(item)] as const) };
    case "array":
      return { ...value, v: value.v.map(shrinkLongs) };
    default:
      return value;
  }
};

test("relaxed extended JSON becomes the bytes it stands for, small int64s as int32", () => {
  fc.assert(
    fc.property(anyFields, (fields) => {
      const shrunk = shrinkLongs(doc(fields));
      assert.ok(shrunk.t === "object");
      assert.equal(transcode(relaxed(doc(fields))), encode(shrunk.v).toString("hex"));
    }),
    { numRuns: 1000 },
  );
});
