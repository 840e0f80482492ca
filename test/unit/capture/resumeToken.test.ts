import assert from "node:assert/strict";
import { test } from "node:test";
import { Timestamp } from "bson";
import { type ConnectorRecord, isCuredCopy } from "#capture/connectorStore.ts";
import { offsetAt, offsetState, secondsOf, tokenTime } from "#capture/resumeToken.ts";

const TOKEN = { _data: "826B03A809000000022B0229296E04" };

test("a token holds its cluster time", () => {
  assert.equal(tokenTime(TOKEN), 0x6b03a80900000002n);
  assert.equal(secondsOf(tokenTime(TOKEN)), 0x6b03a809);
  assert.equal(tokenTime({ _data: "0123" }), 0n);
});

test("stored offsets are read as the connector writes them", () => {
  const stored = (offset: Record<string, unknown> | null) => offsetState([{ partition: { ns: "p" }, offset }], "p");
  assert.deepEqual(stored({ _id: '{"_id": 42175, "copyingData": true}', copy: "true" }), { kind: "copying" });
  assert.deepEqual(stored({ _id: JSON.stringify(TOKEN) }), { kind: "streaming", token: TOKEN, heartbeat: false });
  assert.deepEqual(stored({ _id: JSON.stringify(TOKEN), HEARTBEAT: "true" }), {
    kind: "streaming",
    token: TOKEN,
    heartbeat: true,
  });
  assert.deepEqual(stored(null), { kind: "none" });
  assert.deepEqual(stored({ _id: "not json" }), { kind: "none" });
  assert.deepEqual(offsetState([offsetAt("p", TOKEN)], "other"), { kind: "none" });
  assert.deepEqual(offsetState([offsetAt("p", TOKEN)], "p"), { kind: "streaming", token: TOKEN, heartbeat: false });
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
