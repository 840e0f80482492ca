import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { systemClock } from "#base/flow/clock.ts";
import { waitFor } from "#base/flow/retry.ts";
import { ferry } from "../harness/ferry.ts";
import { tempFolder } from "../harness/folders.ts";
import { sharedKafka, sharedMongo } from "../harness/servers.ts";
import { WorkerProcess } from "../harness/worker.ts";

/** The health check of the images, on the file of a worker here. */
const alive = (file: string, ...args: string[]): { status: number | null; said: string } => {
  const env = { ...process.env, FERRY_ALIVE_FILE: file };
  const { status, stdout } = spawnSync(join("deploy", "images", "bin", "worker-alive"), args, {
    env,
    encoding: "utf8",
  });
  return { status, said: stdout.trim() };
};

test("a worker touches its alive file after each report, and the images' health check reads it", async () => {
  const [target, kafka] = await Promise.all([sharedMongo("target"), sharedKafka()]);
  using folder = tempFolder();
  const file = join(folder.path, "alive");
  assert.deepEqual(alive(file), { status: 1, said: "the worker has not reported itself yet" });
  await using worker = new WorkerProcess({
    target: target.uri,
    kafka: kafka.bootstrap,
    args: ["--topics", "no.such", "--state-db", "ferry_alive", "--alive-file", file],
  });
  await worker.start();
  await waitFor(async () => (existsSync(file) ? { done: true } : { seen: worker.logTail() }), {
    what: "the alive file",
    clock: systemClock,
    timeoutMs: 30_000,
  });
  assert.deepEqual(alive(file), { status: 0, said: "" });
  await worker.stop();
  const minuteAgo = Date.now() / 1000 - 60;
  utimesSync(file, minuteAgo, minuteAgo);
  assert.match(alive(file).said, /^the worker has not reported itself for 6\d s$/);
  assert.equal(alive(file, "600").status, 0);
});

test("an alive file that cannot be written is an error", async () => {
  const [target, kafka] = await Promise.all([sharedMongo("target"), sharedKafka()]);
  const sides = ["--target", target.uri, "--kafka", kafka.bootstrap, "--state-db", "ferry_alive"];
  const { status, err } = await ferry(["worker", ...sides, "--topics", "no.such", "--alive-file", "/nowhere/at/all"]);
  assert.match(err, /FERRY_USAGE: the alive file cannot be written: ENOENT/);
  assert.equal(status, 64);
});
