import assert from "node:assert/strict";
import { test } from "node:test";
import { Binary, BSON } from "bson";
import { offsetAt, offsetState } from "#source/connector/connectorOffsets.ts";
import { ResumeToken } from "#source/stream/resumeToken.ts";

const DATA = "826B03A809000000022B0229296E04";
const PLAIN = ResumeToken.stored({ _data: DATA });
/** Of an event of a document with a large Int64 `_id`. */
const TOKEN = new ResumeToken(BSON.serialize({ _data: DATA, _typeBits: new Binary(Buffer.from([0x82, 0x40])) }));

test("stored offsets are read as the connector writes them", () => {
  const stored = (offset: Record<string, unknown> | null) => offsetState([{ partition: { ns: "p" }, offset }], "p");
  assert.deepEqual(stored({ _id: '{"_id": 42175, "copyingData": true}', copy: "true" }), { kind: "copying" });
  const streaming = (token: ResumeToken, heartbeat = false) => ({ kind: "streaming", token, heartbeat });
  assert.deepEqual(stored({ _id: `{"_data": "${DATA}"}` }), streaming(PLAIN));
  assert.deepEqual(stored({ _id: `{"_data": "${DATA}"}`, HEARTBEAT: "true" }), streaming(PLAIN, true));
  // As the connector spells it (org.bson.BsonDocument.toJson).
  const whole = `{"_data": "${DATA}", "_typeBits": {"$binary": {"base64": "gkA=", "subType": "00"}}}`;
  assert.deepEqual(stored({ _id: whole }), streaming(TOKEN));
  assert.deepEqual(stored(null), { kind: "none" });
  assert.deepEqual(stored({ _id: "not json" }), { kind: "none" });
  assert.deepEqual(offsetState([offsetAt("p", TOKEN)], "other"), { kind: "none" });
  assert.deepEqual(offsetState([offsetAt("p", TOKEN)], "p"), streaming(TOKEN));
});
