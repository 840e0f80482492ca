import assert from "node:assert/strict";
import { test } from "node:test";
import { Long } from "bson";
import { recordsBehind } from "#apply/lanes/recordsBehind.ts";

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
  assert.equal(behind([], []), undefined, "no worker reads it");
  const two = [partition("a.b", 1), partition("other", 1)];
  assert.equal(behind([lane("a.b", 0, 5), lane("other", 0, 1)], two), 4, "each route");
  assert.equal(behind([lane("a.b", 0, 5)], two), undefined, "a route that has begun and has no lane");
});
