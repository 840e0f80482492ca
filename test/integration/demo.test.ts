import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { ferry } from "../harness/ferry.ts";
import { tempFolder } from "../harness/folders.ts";

test("the demo walks the run book to two equal collections and a pool, switches over and back, and leaves nothing behind", async () => {
  using folder = tempFolder();
  const { status, out, err } = await ferry(["demo", "--with-cognito", "--json"], {
    env: { ...process.env, FERRY_HOME: folder.path },
    timeoutMs: 4 * 60_000, // it starts a whole stack
  });
  assert.equal(status, 0, err);
  const { ok, steps } = JSON.parse(out) as { ok: boolean; steps: { expected: string; seen: string }[] };
  assert.equal(ok, true);
  assert.equal(steps.length, 21);
  assert.match(steps[10]?.seen ?? "", /^101 on mongo-source, 101 on mongo-target, 0 different/);
  const inPool = "101 on mongo-target, 101 of them with age or sex; 101 in the pool, 0 with these";
  assert.equal(steps[12]?.seen, inPool);
  for (const n of [15, 19]) assert.match(steps[n]?.seen ?? "", /^the pause was \d+ ms: fencing/);
  assert.equal(existsSync(join(folder.path, "demo", "stack")), false);
});
