import assert from "node:assert/strict";
import { test } from "node:test";
import { Long, Timestamp } from "bson";
import { recordsBehind } from "#cutover/workersDrained.ts";
import { isDrained } from "#process/capture/lifecycle.ts";
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

test("workers are drained when every lane of every route that reads a topic has passed its end", () => {
  const ends = new Map([["a.b", [5, 0]]]);
  const lane = (route: string, slice: number, offset: number) => ({
    ...{ route, topic: "a.b", partition: 0, slice },
    offset: Long.fromNumber(offset),
  });
  const partition = (route: string, slices: number) => ({ _id: `${route}/0`, route, topic: "a.b", slices });
  const behind = (lanes: ReturnType<typeof lane>[], partitions = [partition("a.b", 2)]): number | undefined =>
    recordsBehind(ends, undefined, { lanes, partitions });
  assert.equal(behind([lane("a.b", 0, 5), lane("a.b", 1, 5)]), 0);
  assert.equal(behind([lane("a.b", 0, 5), lane("a.b", 1, 3)]), 2);
  assert.equal(behind([lane("a.b", 0, 5)]), undefined, "a lane has not begun");
  assert.equal(behind([], []), undefined, "nobody reads it");
  const two = [partition("a.b", 1), partition("other", 1)];
  assert.equal(behind([lane("a.b", 0, 5), lane("other", 0, 1)], two), 4, "each route");
  assert.equal(behind([lane("a.b", 0, 5)], two), undefined, "a route that has begun and has no lane");
});
