import assert from "node:assert/strict";
import { test } from "node:test";
import { BSON, Int32, Long } from "mongodb";
import { validate } from "#base/bson/walk.ts";
import { BsonWriter } from "#base/bson/writer.ts";

test("a document is assembled from fields, raw documents and nested ones", () => {
  const inner = BSON.serialize({ _id: new Int32(7) });
  const writer = new BsonWriter(4);
  const at = writer.open();
  writer.document("q", inner);
  writer.boolean("upsert", true);
  writer.string("ключ", "значение");
  writer.int32("n", -1);
  writer.int64("l", -(2n ** 63n));
  writer.double("d", -0);
  writer.null("z");
  writer.element(3, "nested");
  const nested = writer.open();
  writer.string("a", "");
  writer.close(nested);
  writer.close(at);
  const bytes = writer.take();
  assert.equal(validate(bytes), undefined);
  const expected = BSON.serialize({
    q: { _id: new Int32(7) },
    upsert: true,
    ключ: "значение",
    n: new Int32(-1),
    l: Long.MIN_VALUE,
    d: -0,
    z: null,
    nested: { a: "" },
  });
  assert.equal(bytes.toString("hex"), Buffer.from(expected).toString("hex"));
});

test("what was taken stays as it is when the writer is used again", () => {
  const writer = new BsonWriter();
  const write = (value: number): Buffer => {
    const at = writer.open();
    writer.int32("a", value);
    writer.close(at);
    return writer.take();
  };
  const first = write(1);
  const copy = Buffer.from(first);
  write(2);
  assert.deepEqual(first, copy);
});
