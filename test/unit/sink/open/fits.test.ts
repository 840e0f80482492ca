import assert from "node:assert/strict";
import { test } from "node:test";
import { MONGO_ABILITIES } from "#sink/mongo/mongoSink.ts";
import { misfitOf } from "#sink/open/fits.ts";

test("a policy that needs to know others' writes does not fit a target that tells none", () => {
  const silent = { ...MONGO_ABILITIES, foreignWrites: false };
  for (const conflict of ["merge", "keep-target"] as const) {
    assert.match(misfitOf({ conflict }, silent) ?? "", new RegExp(`^${conflict} needs to know what others write`));
    assert.equal(misfitOf({ conflict }, MONGO_ABILITIES), undefined);
  }
  assert.equal(misfitOf({}, silent), undefined);
});
