import assert from "node:assert/strict";
import { test } from "node:test";
import { Timestamp } from "bson";
import { type ConnectorRecord, isCuredCopy } from "#source/connector/connectorStore.ts";

test("a second copy is cured by the rewind only when it was made between R0 and the rewind", () => {
  const at = (t: number): Timestamp => new Timestamp({ t, i: 0 });
  const started = { r0At: at(100), rewoundAt: at(200) } as ConnectorRecord;
  const cured = (record: ConnectorRecord, t: number): boolean => isCuredCopy(record, BigInt(t) << 32n);
  assert.ok(cured(started, 150));
  assert.ok(!cured(started, 99));
  assert.ok(!cured(started, 201));
  assert.ok(cured({ r0At: at(100) } as ConnectorRecord, 1000), "a start that is still under way");
});
