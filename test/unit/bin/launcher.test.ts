import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { test } from "node:test";
import { tempFolder } from "../../harness/folders.ts";

/** The launcher as it is, and as it is on a Node where no process can become another one. */
const LAUNCHERS = {
  "becomes ferry": [],
  "has ferry beside it": ["--import", "data:text/javascript,process.execve=undefined"],
} as const;

/** No process listens there: ferry waits for it, and says so. */
const WAITING = ["run", "--source", "mongodb://127.0.0.1:1", "--target", "mongodb://127.0.0.1:1"];

/** `node bin/ferry.mjs` that has come to its work; `ended` when no process holds its output any more. */
const launched = async (flags: readonly string[]) => {
  using folder = tempFolder();
  const env = { PATH: process.env["PATH"] ?? "", FERRY_HOME: join(folder.path, "home") };
  const launcher = spawn(process.execPath, [...flags, join("bin", "ferry.mjs"), ...WAITING], {
    stdio: ["ignore", "ignore", "pipe"],
    env,
  });
  const ended = once(launcher, "close") as Promise<[number | null, NodeJS.Signals | null]>;
  let said = "";
  for await (const bytes of launcher.stderr.iterator({ destroyOnReturn: false })) {
    said += String(bytes);
    if (said.includes("waiting for the source")) break;
  }
  launcher.stderr.resume();
  return { launcher, ended };
};

for (const [name, flags] of Object.entries(LAUNCHERS)) {
  test(`a launcher that ${name}: nothing is left of it after kill -9`, { timeout: 60_000 }, async () => {
    const { launcher, ended } = await launched(flags);
    launcher.kill("SIGKILL");
    assert.deepEqual(await ended, [null, "SIGKILL"]);
  });

  test(`a launcher that ${name}: a signal stops ferry softly, and is what it ends with`, {
    timeout: 60_000,
  }, async () => {
    const { launcher, ended } = await launched(flags);
    launcher.kill("SIGTERM");
    assert.deepEqual(await ended, [null, "SIGTERM"]);
  });
}
