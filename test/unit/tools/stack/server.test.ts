import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { isFerry } from "#base/errors/ferryError.ts";
import { withLock } from "#tools/stack/disk.ts";
import { followLog } from "#tools/stack/followLog.ts";
import { freePort, freePorts, isPortFree } from "#tools/stack/ports.ts";
import { isSameProcess, processStamp } from "#tools/stack/process.ts";
import { pidFile, recordedProcess, Server, type ServerSpec } from "#tools/stack/server.ts";
import { tempFolder } from "../../../harness/folders.ts";

/** A server written in one line: listens, and says so in its log. */
const LISTEN = `require("node:net").createServer().listen(PORT, "127.0.0.1", () => console.log("listening"));`;

const specOf = (folder: string, port: number, script: string, more: Partial<ServerSpec> = {}): ServerSpec => ({
  name: "little",
  command: process.execPath,
  args: ["-e", script.replaceAll("PORT", String(port))],
  cwd: folder,
  logFile: join(folder, "little.log"),
  ports: [port],
  ready: async () => ((await isPortFree(port)) ? "nobody listens" : true),
  readyTimeoutMs: 20_000,
  stopTimeoutMs: 10_000,
  ...more,
});

test("a server starts, is ready, and starts again on the same port", async () => {
  using folder = tempFolder();
  const port = await freePort();
  await using server = new Server(specOf(folder.path, port, LISTEN));
  await server.start();
  const first = server.pid;
  assert.equal(server.logTail(), "listening");
  await server.start();
  assert.equal(server.pid, first, "starting what runs changes nothing");
  await server.restart();
  assert.notEqual(server.pid, first);
  assert.equal(await isPortFree(port), false);
  await server.stop();
  assert.equal(await isPortFree(port), true);
  assert.equal(existsSync(pidFile(server.logFile)), false);
});

test("another handle takes a recorded process over and stops it", async () => {
  using folder = tempFolder();
  const spec = specOf(folder.path, await freePort(), LISTEN);
  await using server = new Server(spec);
  await server.start();
  const other = new Server(spec, recordedProcess(spec.logFile));
  assert.equal(other.pid, server.pid);
  await other.start();
  await other.stop();
  assert.equal(server.isRunning(), false);
});

test("a server that ends is reported immediately with the end of its log", async () => {
  using folder = tempFolder();
  const script = `console.error("cannot open the data folder"); process.exit(3);`;
  await using server = new Server(specOf(folder.path, await freePort(), script, { readyTimeoutMs: 60_000 }));
  const started = Date.now();
  await assert.rejects(
    server.start(),
    (error) =>
      isFerry(error, "FERRY_STACK_CRASHED") &&
      error.detail.includes("exit status 3") &&
      error.detail.includes("cannot open the data folder"),
  );
  assert.ok(Date.now() - started < 30_000);
});

test("a program that does not exist is reported, too", async () => {
  using folder = tempFolder();
  await using server = new Server(specOf(folder.path, await freePort(), "", { command: "no-such-program" }));
  await assert.rejects(server.start(), (error) => isFerry(error, "FERRY_STACK_CRASHED"));
});

test("a server that runs but does not answer is reported with what was seen", async () => {
  using folder = tempFolder();
  const script = `console.log("thinking"); setInterval(() => undefined, 1000);`;
  await using server = new Server(specOf(folder.path, await freePort(), script, { readyTimeoutMs: 300 }));
  await assert.rejects(
    server.start(),
    (error) => isFerry(error, "FERRY_STACK_NOT_READY") && error.detail.includes("nobody listens"),
  );
});

test("a taken port is reported before anything is started", async () => {
  using folder = tempFolder();
  const port = await freePort();
  const holder = createServer();
  await new Promise<void>((resolve) => holder.listen(port, "127.0.0.1", resolve));
  await using server = new Server(specOf(folder.path, port, LISTEN));
  await assert.rejects(
    server.start(),
    (error) => isFerry(error, "FERRY_STACK_PORT") && error.detail.includes(`port ${port} of little`),
  );
  assert.equal(server.pid, undefined);
  await new Promise((resolve) => holder.close(resolve));
});

test("one that ignores SIGTERM, or is stopped, is killed after its limit", async () => {
  using folder = tempFolder();
  const script = `process.on("SIGTERM", () => undefined); ${LISTEN}`;
  await using server = new Server(specOf(folder.path, await freePort(), script, { stopTimeoutMs: 200 }));
  await server.start();
  server.kill("SIGSTOP");
  await server.stop();
  assert.equal(server.isRunning(), false);
});

test("a reused pid is not mistaken for the server, and is never signalled", async () => {
  using folder = tempFolder();
  const spec = specOf(folder.path, await freePort(), LISTEN);
  const mine = { pid: process.pid, stamp: "another:1", startedAt: 0 };
  const server = new Server(spec, mine);
  assert.equal(server.isRunning(), false);
  server.kill("SIGKILL"); // would end this test
  await server.stop();
  assert.equal(isSameProcess(process.pid, processStamp(process.pid) ?? ""), true);
});

test("a lock is held by one at a time, and taken over from a dead owner", async () => {
  using folder = tempFolder();
  const file = join(folder.path, "lock");
  await writeFile(file, JSON.stringify({ pid: 2 ** 22 + 1, stamp: "gone:0" }));
  let inside = 0;
  const enter = (): Promise<void> =>
    withLock(file, 5000, async () => {
      inside += 1;
      assert.equal(inside, 1);
      await new Promise((resolve) => setTimeout(resolve, 20));
      inside -= 1;
    });
  await Promise.all([enter(), enter(), enter()]);
  assert.equal(existsSync(file), false);
});

test("free ports are distinct, outside the outgoing range, and avoid what is reserved", async () => {
  const ports = await freePorts(20, new Set([20_000]));
  assert.equal(new Set(ports).size, 20);
  assert.ok(ports.every((port) => port > 20_000 && port < 32_000));
});

test("a followed log yields lines as they are completed, also after it was restarted", async () => {
  using folder = tempFolder();
  const file = join(folder.path, "a.log");
  await writeFile(file, "old\n");
  const stop = new AbortController();
  const lines = followLog(file, stop.signal);
  const first = lines.next();
  await writeFile(file, "half", { flag: "a" });
  await writeFile(file, " a line\nnext\n", { flag: "a" });
  assert.equal((await first).value, "half a line");
  assert.equal((await lines.next()).value, "next");
  const afresh = lines.next();
  await writeFile(file, "anew\n");
  assert.equal((await afresh).value, "anew");
  const last = lines.next();
  stop.abort(new Error("enough"));
  await assert.rejects(last, /enough/);
});
