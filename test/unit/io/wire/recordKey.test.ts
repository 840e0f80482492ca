import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Transcoder } from "#io/wire/json/transcode.ts";
import { classifyKey, isHeartbeatKey } from "#io/wire/recordKey.ts";
import { anyValue, canonical, encode, legacy, survivesLegacy, type Value } from "../../base/bson/arbitrary.ts";

const transcoder = new Transcoder();
const text = (v: string): Value => ({ t: "string", v });
const TOKEN = "826B0372A9000000032B022C0100296E5A1004";

const classify = (key: string | Buffer | null, id: Value): string =>
  classifyKey(key === null ? null : Buffer.from(key), encode([["_id", id]]), transcoder);

/** `_id`s that could be mistaken for an event's own are as likely as all others together. */
const anyId: fc.Arbitrary<Value> = fc.oneof(
  anyValue,
  fc.constantFrom<Value>(
    { t: "object", v: [["_data", text(TOKEN)]] },
    {
      t: "object",
      v: [
        ["_id", { t: "int32", v: 1 }],
        ["copyingData", { t: "boolean", v: true }],
      ],
    },
    { t: "object", v: [["_id", { t: "null" }]] },
    {
      t: "object",
      v: [
        ["_data", text("x")],
        ["b", { t: "double", v: 1 }],
      ],
    },
    text(`{"_data": "${TOKEN}"}`),
    text('{"_id": 1, "copyingData": true}'),
    text("{"),
    text('"'),
  ),
);

test("a documentKey is one in every spelling, whatever its _id looks like", () => {
  fc.assert(
    fc.property(anyId, (id) => {
      const key: Value = { t: "object", v: [["_id", id]] };
      const json = canonical(key);
      assert.equal(classify(encode([["_id", id]]), id), "documentKey");
      assert.equal(classify(json, id), "documentKey");
      assert.equal(classify(JSON.stringify(json), id), "documentKey");
      assert.equal(classify(`{"schema":{"type":"string"},"payload":${JSON.stringify(json)}}`, id), "documentKey");
      if (survivesLegacy(id)) assert.equal(classify(legacy(key), id), "documentKey");
    }),
    { numRuns: 1000 },
  );
});

test("an event's own _id is one in every spelling, whatever the documentKey looks like", () => {
  fc.assert(
    fc.property(anyId, (id) => {
      const token: Value = { t: "object", v: [["_data", text(`${TOKEN}04`)]] };
      const marker: Value = {
        t: "object",
        v: [
          ["_id", id],
          ["copyingData", { t: "boolean", v: true }],
        ],
      };
      for (const own of [token, marker]) {
        const key: Value = { t: "object", v: [["_id", own]] };
        const json = canonical(key);
        assert.equal(classify(encode([["_id", own]]), id), "resumeToken");
        assert.equal(classify(json, id), "resumeToken");
        assert.equal(classify(JSON.stringify(json), id), "resumeToken");
        assert.equal(classify(JSON.stringify({ _id: canonical(own) }), id), "resumeToken");
      }
    }),
    { numRuns: 1000 },
  );
});

test("no key, and keys of other kinds", () => {
  const id: Value = { t: "int32", v: 1 };
  assert.equal(classify(null, id), "none");
  for (const key of ["", "1", "user-1", '{"id": 1}', "{", '{"_id"']) assert.equal(classify(key, id), "other", key);
  assert.equal(classify(Buffer.from("00ff00ff", "hex"), id), "other");
});

test("a key of the connector's schema that holds documentKey", () => {
  const id: Value = { t: "int32", v: 1 };
  assert.equal(classify('{"documentKey":{"_id":"1"}}', id), "documentKey");
  assert.equal(classify('{"schema":{"type":"struct"},"payload":{"documentKey":{"_id":"1"}}}', id), "documentKey");
});

test("heartbeats by their key", () => {
  assert.equal(isHeartbeatKey(Buffer.from(`{"_data": "${TOKEN}"}`), transcoder), true);
  assert.equal(isHeartbeatKey(Buffer.from(`{"_id": {"_data": "${TOKEN}"}}`), transcoder), false);
  assert.equal(isHeartbeatKey(null, transcoder), false);
});
