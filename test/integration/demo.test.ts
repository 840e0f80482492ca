import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { tempFolder } from "../harness/folders.ts";

test("the demo walks the run book to two equal collections, and leaves nothing behind", async () => {
  using folder = tempFolder();
  const child = spawn(
    process.execPath,
    ["--disable-warning=ExperimentalWarning", join(process.cwd(), "src/cli/main.ts"), "demo", "--json"],
    { env: { ...process.env, FERRY_HOME: folder.path }, stdio: ["ignore", "pipe", "pipe"] },
  );
  let [stdout, stderr] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (text) => {
    stdout += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text) => {
    stderr += text;
  });
  const code = await new Promise((resolve) => child.on("close", resolve));
  assert.equal(code, 0, stderr);
  const { ok, steps } = JSON.parse(stdout) as { ok: boolean; steps: { expected: string; seen: string }[] };
  assert.equal(ok, true);
  assert.equal(steps.length, 12);
  assert.match(steps.at(-2)?.seen ?? "", /^101 on mongo-source, 101 on mongo-target, 0 different/);
  assert.equal(existsSync(join(folder.path, "demo", "stack")), false);
});
