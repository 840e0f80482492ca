import assert from "node:assert/strict";
import { test } from "node:test";
import { rawDocument } from "#base/bson/rawValue.ts";
import { BsonType } from "#base/bson/walk.ts";
import { wantedIn } from "#structure/model/model.ts";
import { documentOfParts, int32 } from "../../../harness/oddBytes.ts";

test("records of an older ferry, which kept text alone, say the same", () => {
  const text = '{"key":[["b",{"$numberInt":"1"}],["1",{"$numberInt":"-1"}]],"unique":true}';
  const { key = rawDocument(documentOfParts()), unique } = wantedIn({ wanted: text });
  assert.deepEqual(
    Buffer.from(key.bytes),
    documentOfParts([BsonType.int32, "b", int32(1)], [BsonType.int32, "1", int32(-1)]),
  );
  assert.equal(unique?.text, "true");
});
