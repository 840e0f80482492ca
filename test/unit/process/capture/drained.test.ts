import assert from "node:assert/strict";
import { test } from "node:test";
import { Timestamp } from "bson";
import { isDrained } from "#process/capture/runLifecycle.ts";
import { ResumeToken } from "#source/stream/resumeToken.ts";

const tokenAt = (seconds: number, n: number): ResumeToken =>
  ResumeToken.stored({
    _data: `82${seconds.toString(16).padStart(8, "0").toUpperCase()}${n.toString(16).padStart(8, "0").toUpperCase()}2B0429296E04`,
  });

test("a run is drained when its position has passed the source's time: at that very time a transaction may go on", () => {
  const lifecycle = { wanted: "finalized" as const, drainTo: Timestamp.fromBits(7, 1000) };
  const of = (seconds: number, n: number, phase: "copy" | "stream" = "stream"): boolean =>
    isDrained({ phase, token: tokenAt(seconds, n), lifecycle });
  assert.deepEqual([of(1000, 6), of(1000, 7), of(1000, 8), of(1001, 1)], [false, false, true, true]);
  assert.equal(of(1001, 1, "copy"), false);
  assert.equal(isDrained({ phase: "stream", token: tokenAt(1001, 1), lifecycle: {} }), false);
});
