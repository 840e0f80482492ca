import assert from "node:assert/strict";
import { test } from "node:test";
import { ferry } from "../../harness/ferry.ts";
import { within } from "../../harness/timeLimit.ts";

test("what never comes is a failure that shows the awaited and the last state, and is given up", async () => {
  let gaveUp = false;
  const never = new Promise<never>(() => undefined);
  const giveUp = (): void => {
    gaveUp = true;
  };
  await assert.rejects(within(never, { what: "the moon", seen: () => "a cloud", giveUp, timeoutMs: 10 }), {
    code: "FERRY_TIMEOUT",
    detail: "the moon: timed out after 10 ms; last state:\na cloud",
  });
  assert.ok(gaveUp);
});

test("what comes in time, or fails, leaves no timer", async () => {
  const options = { what: "it", seen: () => "" };
  assert.equal(await within(Promise.resolve(7), options), 7);
  await assert.rejects(within(Promise.reject(new Error("no")), options), /no/);
});

test("a command that does not end within its limit is killed, and the failure names it and what it said", async () => {
  const args = ["status", "--watch", "--target", "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=60000"];
  await assert.rejects(ferry(args, { timeoutMs: 50 }), {
    code: "FERRY_TIMEOUT",
    detail: /^ferry status --watch --target mongodb.* to end: timed out after 50 ms; last state:/,
  });
});
