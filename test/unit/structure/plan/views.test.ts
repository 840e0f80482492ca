import assert from "node:assert/strict";
import { test } from "node:test";
import { BSON } from "bson";
import { rawDocument } from "#base/bson/rawValue.ts";
import { readBy, renameIn } from "#structure/plan/views.ts";
import { optionsOf } from "../../../harness/specs.ts";

test("a pipeline's collections are found wherever they are named", () => {
  assert.deepEqual(
    readBy(optionsOf({ viewOn: "a", pipeline: [{ $lookup: { from: "b", let: { from: "x" } } }, { $unionWith: "c" }] })),
    ["a", "b", "c"],
  );
  const { untouched = rawDocument(BSON.serialize({})) } = optionsOf({
    untouched: [{ $match: { from: "b" } }, { $project: { coll: "$from" } }],
  });
  assert.deepEqual(
    renameIn(untouched, () => "other"),
    untouched,
  );
});
