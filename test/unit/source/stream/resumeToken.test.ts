import assert from "node:assert/strict";
import { test } from "node:test";
import { Binary, BSON, Timestamp } from "bson";
import { offsetAt, offsetState } from "#source/connector/connectorOffsets.ts";
import { type ConnectorRecord, isCuredCopy } from "#source/connector/connectorStore.ts";
import { ResumeToken, secondsOf, tokenTime } from "#source/stream/resumeToken.ts";

const DATA = "826B03A809000000022B0229296E04";
const PLAIN = ResumeToken.stored({ _data: DATA });
/** Of an event of a document with a large Int64 `_id`. */
const TOKEN = new ResumeToken(BSON.serialize({ _data: DATA, _typeBits: new Binary(Buffer.from([0x82, 0x40])) }));

test("a token holds its cluster time", () => {
  assert.equal(tokenTime(TOKEN), 0x6b03a80900000002n);
  assert.equal(secondsOf(tokenTime(TOKEN)), 0x6b03a809);
  assert.equal(tokenTime({ _data: "0123" }), 0n);
});

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

test("a token is kept whole: in a record, and in the text of an offset", () => {
  const kept = BSON.deserialize(BSON.serialize({ before: 1, token: TOKEN, after: 2 }));
  assert.deepEqual(Object.keys(kept), ["before", "token", "after"]);
  assert.deepEqual(ResumeToken.stored(kept["token"]).bytes, TOKEN.bytes);
  assert.deepEqual(ResumeToken.parse(TOKEN.text).bytes, TOKEN.bytes);
  assert.ok(TOKEN.isAt(PLAIN));
});

test("a second copy is cured by the rewind only when it was made between R0 and the rewind", () => {
  const at = (t: number): Timestamp => new Timestamp({ t, i: 0 });
  const started = { r0At: at(100), rewoundAt: at(200) } as ConnectorRecord;
  const cured = (record: ConnectorRecord, t: number): boolean => isCuredCopy(record, BigInt(t) << 32n);
  assert.ok(cured(started, 150));
  assert.ok(!cured(started, 99));
  assert.ok(!cured(started, 201));
  assert.ok(cured({ r0At: at(100) } as ConnectorRecord, 1000), "a start that is still under way");
});
