import assert from "node:assert/strict";
import { test } from "node:test";
import { parseFence } from "#cutover/fence/fence.ts";
import { runHook } from "#cutover/fence/hook.ts";

const run = (command: string, timeoutMs = 10_000, signal?: AbortSignal): Promise<void> =>
  runHook(command, {
    step: "release",
    namespaces: ["a.b", "a.c"],
    timeoutMs,
    ...(signal === undefined ? {} : { signal }),
  });

test("a command is told what it is run for, and status 0 means done", () =>
  run('[ "$FERRY_STEP $FERRY_NAMESPACES" = "release a.b,a.c" ]'));

test("a command that fails, hangs, cannot be found or is ended by the limit says so in one sentence, with its last line", async () => {
  await assert.rejects(run("echo first; echo no proxy >&2; exit 4"), {
    ...{ code: "FERRY_CUTOVER_HOOK", detail: "the command for `release` ended with status 4: no proxy" },
  });
  await assert.rejects(run("echo waiting; sleep 60 & wait", 300), {
    detail: "the command for `release` did not end within 300 ms and was killed: waiting",
  });
  await assert.rejects(run("no-such-program-anywhere"), { detail: /ended with status 127: .*not found/ });
  const stop = new AbortController();
  setTimeout(() => stop.abort(), 50);
  await assert.rejects(run("sleep 60", 10_000, stop.signal), { detail: /was killed when the pause came to its limit/ });
});

test("a fence is one of four", () => {
  assert.deepEqual(parseFence("validator"), { kind: "validator" });
  assert.deepEqual(parseFence("hook: ./fence.sh now"), { kind: "hook", command: "./fence.sh now" });
  for (const text of ["wall", "", "hook:", "hook", "user-write"])
    assert.throws(() => parseFence(text), { code: "FERRY_CUTOVER_FENCE" }, text);
});
