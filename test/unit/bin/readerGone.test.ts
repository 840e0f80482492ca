import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { test } from "node:test";
import { bareEnvironment, NODE_FLAGS } from "../../harness/ferry.ts";

/** `ferry ARGS`, with a stdout that is closed. */
const unread = async (...args: readonly string[]) => {
  const child = spawn(process.execPath, [...NODE_FLAGS, ...args], {
    env: bareEnvironment(),
    stdio: ["ignore", "pipe", "pipe"],
  });
  child.stdout.destroy();
  let err = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    err += text;
  });
  const [status] = (await once(child, "close")) as [number | null];
  return { status, err };
};

test("a command whose output is no longer read ends quietly, as by SIGPIPE", async () => {
  for (const args of [["completion", "bash"], ["config", "schema"], ["--help"]])
    assert.deepEqual(await unread(...args), { status: 141, err: "" }, args.join(" "));
});
