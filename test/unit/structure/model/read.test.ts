import assert from "node:assert/strict";
import { test } from "node:test";
import { isTemporary } from "#structure/model/read.ts";

test("what the server makes for a moment is not carried", () => {
  const names = ["tmpk1TRw.convertToCapped.r2", "tmpvPI8f.renameCollection", "tmp.agg_out.4dc8", "tmp", "tmpusers.x"];
  assert.deepEqual(names.filter(isTemporary), names.slice(0, 3));
});
