import assert from "node:assert/strict";
import { test } from "node:test";
import { CATALOGUE } from "#base/errors/catalogue.ts";
import { FerryError } from "#base/errors/ferryError.ts";
import { checking } from "#tools/check/checkResult.ts";

test("a check that throws keeps what it found before, and becomes a failure with the error's remedy", async () => {
  const results = await checking("target", async (say) => {
    say("ok", "it answers");
    throw new FerryError("FERRY_MONGO_PRIVILEGE", "find on a.b");
  });
  assert.deepEqual(results[0], { area: "target", level: "ok", sentence: "it answers" });
  assert.equal(results[1]?.level, "fail");
  assert.match(results[1]?.sentence ?? "", /find on a\.b/);
  assert.equal(results[1]?.remedy, CATALOGUE.FERRY_MONGO_PRIVILEGE.hint);
  const [other] = await checking("kafka", () => Promise.reject(new Error("no such host")));
  assert.deepEqual(other, { area: "kafka", level: "fail", sentence: "no such host" });
});
