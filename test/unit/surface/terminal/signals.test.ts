import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { withSignals } from "#surface/terminal/signals.ts";

test("a write to a connection that has broken, which raises SIGPIPE, stops nothing", async () => {
  await withSignals(async ({ soft }) => {
    const later = once(process, "SIGWINCH");
    process.kill(process.pid, "SIGPIPE");
    process.kill(process.pid, "SIGWINCH"); // it comes behind the other one
    await later;
    assert.equal(soft.aborted, false);
  });
});
