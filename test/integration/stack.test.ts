import assert from "node:assert/strict";
import {
  chmodSync,
  closeSync,
  mkdirSync,
  openSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { MongoClient } from "mongodb";
import { isFerry } from "#base/errors/ferryError.ts";
import { javaArgs } from "#tools/stack/java.ts";
import { ensureJava } from "#tools/stack/javaArtefact.ts";
import { ensureKafka } from "#tools/stack/kafkaArtefact.ts";
import { startMongo } from "#tools/stack/mongod.ts";
import { runProgram } from "#tools/stack/process.ts";
import { sharedClasses } from "#tools/stack/sharedClasses.ts";
import { tempFolder } from "../harness/folders.ts";
import { TcpProxy } from "../harness/proxy.ts";
import { mongo, sharedMongo } from "../harness/servers.ts";

test("a mongod keeps its data and its port across a kill and a restart", async () => {
  await using server = await mongo();
  await using client = await new MongoClient(server.uri).connect();
  await client
    .db("test")
    .collection("users")
    .insertOne({ a: 1 }, { writeConcern: { w: "majority", journal: true } });
  const { port } = server;
  await server.node.crash();
  assert.equal(server.node.isRunning(), false);
  await server.start();
  assert.equal(server.port, port);
  assert.equal(await client.db("test").collection("users").countDocuments(), 1);
});

test("a set of three elects another primary when the first is killed", async () => {
  await using server = await mongo({ nodes: 3 });
  const first = await server.primary();
  await first.crash();
  const second = await server.primary();
  assert.notEqual(second.name, first.name);
});

test("a mongod that cannot start is reported immediately, with the end of its log", async () => {
  using folder = tempFolder();
  const started = Date.now();
  await assert.rejects(
    startMongo({ dir: folder.path, name: "broken", replSet: "rs0", args: ["--noSuchOption"] }),
    (error) => isFerry(error, "FERRY_STACK_CRASHED") && /noSuchOption/.test(error.detail),
  );
  assert.ok(Date.now() - started < 20_000);
});

test("a taken port is one clear sentence", async () => {
  using folder = tempFolder();
  const { port } = await sharedMongo();
  await assert.rejects(startMongo({ dir: folder.path, name: "second", replSet: "rs0", port }), (error) =>
    isFerry(error, "FERRY_STACK_PORT"),
  );
});

test("the proxy delays and cuts on request", async () => {
  const server = await sharedMongo();
  await using proxy = await TcpProxy.start(server.port);
  await using client = new MongoClient(`mongodb://127.0.0.1:${proxy.port}/?directConnection=true`, {
    serverSelectionTimeoutMS: 500,
  });
  const users = client.db("proxy").collection("users");
  await users.insertOne({});
  proxy.delayWhen((bytes) => bytes.includes("$match"), 400);
  const before = performance.now();
  await users.aggregate([{ $match: {} }]).toArray();
  assert.ok(performance.now() - before >= 390);
  assert.equal(proxy.delayed, 1);
  proxy.cut();
  await assert.rejects(users.countDocuments());
  proxy.heal();
  assert.equal(await users.countDocuments(), 1);
});

test("what a Java program loads is recorded by its first run and used by the next; a damaged record is passed by", async (t) => {
  using folder = tempFolder();
  const libs = join(folder.path, "kafka", "libs");
  mkdirSync(join(folder.path, "kafka"));
  symlinkSync(await ensureKafka(() => undefined), libs);
  const java = await ensureJava(() => undefined);
  if ((await sharedClasses("tool", java, libs)).length === 0)
    return t.skip("this Java has no archive of its own classes");
  /** Kafka's smallest program. With `-Xshare:on` Java refuses to start where it cannot use the record. */
  const run = async (...more: readonly string[]): Promise<readonly string[]> => {
    const shared = await sharedClasses("tool", java, libs);
    const args = [...shared, ...more, ...javaArgs("128m", libs), "kafka.tools.StorageTool", "random-uuid"];
    const { code, stdout, stderr } = await runProgram(java, args, { timeoutMs: 60_000 });
    assert.equal(code, 0, stdout + stderr);
    return shared;
  };
  await run();
  const [record = ""] = (await run("-Xshare:on")).filter((arg) => arg.includes("SharedArchiveFile"));
  const file = record.slice(record.indexOf("=") + 1);
  chmodSync(file, 0o600);
  const { size } = statSync(file);
  const damaged = openSync(file, "r+");
  writeSync(damaged, Buffer.alloc(4096, 7), 0, 4096, Math.floor(size / 2));
  closeSync(damaged);
  await run();
  truncateSync(file, Math.floor(size / 3));
  await run();
});

test("where nothing can be recorded, Java starts without", async () => {
  using folder = tempFolder();
  writeFileSync(join(folder.path, "kafka-classes"), "no folder");
  assert.deepEqual(
    await sharedClasses("tool", await ensureJava(() => undefined), join(folder.path, "kafka", "libs")),
    [],
  );
});
