import assert from "node:assert/strict";
import { test } from "node:test";
import { MongoClient } from "mongodb";
import { isFerry } from "#base/errors/ferryError.ts";
import { startMongo } from "#tools/stack/mongod.ts";
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
