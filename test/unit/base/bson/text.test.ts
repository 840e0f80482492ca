import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { bsonText } from "#base/bson/text.ts";
import { Transcoder } from "#io/wire/json/transcode.ts";
import { anyFields, encode } from "./arbitrary.ts";

test("canonical text is read back to the same bytes", () => {
  const transcoder = new Transcoder();
  fc.assert(
    fc.property(anyFields, (fields) => {
      const bytes = encode(fields);
      const text = bsonText(bytes, { canonical: true });
      JSON.parse(text);
      assert.equal(transcoder.document(Buffer.from(text))?.toString("hex"), bytes.toString("hex"), text);
    }),
    { numRuns: 1000 },
  );
});

test("relaxed text is short, and is JSON on one line", () => {
  fc.assert(
    fc.property(anyFields, (fields) => {
      const text = bsonText(encode(fields));
      JSON.parse(text);
      assert.ok(!text.includes("\n"));
    }),
  );
  const bytes = encode([
    ["n", { t: "int32", v: 5 }],
    ["d", { t: "double", v: 5 }],
    ["at", { t: "date", v: 0n }],
  ]);
  assert.equal(bsonText(bytes), '{"n":5,"d":5.0,"at":{"$date":"1970-01-01T00:00:00.000Z"}}');
});
