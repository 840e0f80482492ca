import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  type DeadLetter,
  identityBinary,
  identityText,
  isDue,
  nextTry,
  toRecord,
} from "#apply/deadletter/letterRecords.ts";
import { ServerCode } from "#io/mongo/serverCodes.ts";

const LETTER: DeadLetter = {
  ...{ route: "a.b", topic: "a.b", partition: 2, offset: 7, lane: "a.b/2/0", ns: "a.b", identity: "x" },
  ...{ documentKey: Buffer.from("key"), code: "FERRY_MONGO_REJECTED", reason: "no", serverCode: 121 },
  ...{ recordKey: null, raw: Buffer.from("value"), logTimeMs: 5 },
};

test("a clash is retried after 1, 4, 16 and 64 seconds, and then waits for a decision; other errors wait at once", () => {
  const delays = [1, 2, 3, 4, 5].map((attempts) => nextTry(attempts, ServerCode.DuplicateKey, 0)?.getTime());
  assert.deepEqual(delays, [1000, 4000, 16_000, 64_000, undefined]);
  assert.equal(nextTry(1, LETTER.serverCode ?? null, 0), null);
  assert.equal(nextTry(1, null, 0), null);
});

test("a letter is due when it is decided on, or when its time has come", () => {
  const at = new Date(1000);
  assert.equal(isDue({ state: "waiting", retryAt: at }, 999), false);
  assert.equal(isDue({ state: "waiting", retryAt: at }, 1000), true);
  assert.equal(isDue({ state: "waiting", retryAt: null }, 1e15), false);
  for (const state of ["replay", "discard"] as const) assert.equal(isDue({ state, retryAt: null }, 0), true);
});

test("a record keeps its value, or its size where the value lies in chunks", () => {
  const { _id, raw, rawBytes, state, retryAt, attempts } = toRecord(LETTER, 0);
  assert.deepEqual(
    { _id, raw: Buffer.from(raw?.buffer ?? []).toString(), rawBytes, state, retryAt, attempts },
    { _id: "a.b/2/7", raw: "value", rawBytes: 5, state: "waiting", retryAt: null, attempts: 1 },
  );
  const inChunks = toRecord(LETTER, 3);
  assert.deepEqual([inChunks.raw, inChunks.rawBytes, inChunks.chunks], [null, 5, 3]);
  assert.ok(toRecord({ ...LETTER, serverCode: ServerCode.DuplicateKey }, 0).retryAt !== null);
});

test("an identity comes back from its record, whatever its bytes", () => {
  fc.assert(
    fc.property(fc.uint8Array(), (bytes) => {
      const identity = Buffer.from(bytes).toString("latin1");
      assert.equal(identityText(identityBinary(identity)), identity);
    }),
  );
});
