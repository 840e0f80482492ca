import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { isFerry } from "#base/errors/ferryError.ts";
import {
  copiedNamespaces,
  defaultPartition,
  parseConnector,
  readConnectorFile,
  topicOf,
  topicsInScope,
} from "#source/connector/connectorConfig.ts";
import { requireSuitable } from "#source/connector/startChecks.ts";
import { sameConfig, startingConfig } from "#source/connector/startupConfig.ts";
import { tempFolder } from "../../../harness/folders.ts";

const SEED = "deploy/kafka-source-connect.json";
const RECOMMENDED = "deploy/recommended-connector.json";

test("the run book's file is shipped as it is typed there", () => {
  assert.equal(
    readFileSync(SEED, "utf8"),
    `{
    "name": "mongo-source-connect",

    "config": {

        "connector.class": "com.mongodb.kafka.connect.MongoSourceConnector",
        "connection.uri": "mongodb://mongo-source",
        "database": "test",
        "collection": "users",
        "startup.mode": "copy_existing"
    }
}
`,
  );
});

test("the run book's file is understood with the connector's defaults", () => {
  const { name, config } = readConnectorFile(SEED);
  const capture = parseConnector(config);
  assert.equal(name, "mongo-source-connect");
  assert.deepEqual(capture.watch, { level: "collection", db: "test", coll: "users" });
  assert.equal(capture.startup, "copy_existing");
  assert.equal(capture.partition, "mongodb://mongo-source/test.users");
  assert.equal(capture.keyedByDocument, true);
  assert.equal(capture.heartbeatMs, 0);
  requireSuitable(name, capture);
});

test("the recommended file is suitable, and its pipeline is understood", () => {
  const { name, config } = readConnectorFile(RECOMMENDED);
  const capture = parseConnector(config);
  assert.equal(capture.watch.level, "database");
  assert.equal(capture.partition, "users-gen1");
  assert.equal(capture.pipeline?.length, 2);
  assert.deepEqual(capture.streamOptions, { fullDocument: "updateLookup", showExpandedEvents: true });
  requireSuitable(name, capture);
});

test("a file without a name is named after itself; values become text", () => {
  using folder = tempFolder();
  const path = join(folder.path, "orders.json");
  writeFileSync(path, JSON.stringify({ "connector.class": "X", "tasks.max": 1, "copy.existing": true }));
  const { name, config } = readConnectorFile(path);
  assert.deepEqual(
    { name, config },
    { name: "orders", config: { "connector.class": "X", "tasks.max": "1", "copy.existing": "true" } },
  );
  assert.equal(parseConnector(config).startup, "copy_existing", "the deprecated way to ask for a copy");
  assert.equal(readConnectorFile(path, "given").name, "given");
  const refused = (file: string, reason: RegExp): void =>
    assert.throws(
      () => readConnectorFile(file),
      (error) => isFerry(error, "FERRY_CAPTURE_FILE") && reason.test(error.detail),
    );
  writeFileSync(path, "{}");
  refused(path, /orders\.json: it has no "connector\.class"$/);
  writeFileSync(path, "{");
  refused(path, /orders\.json: it is not JSON/);
  refused(join(folder.path, "none.json"), /none\.json: there is no such file$/);
  refused(folder.path, /: it is a folder$/);
});

test("the partition's name is derived as the connector derives it: hosts sorted, no credentials, no options", () => {
  const partition = (uri: string, db: string, coll: string): string =>
    defaultPartition(uri, { level: "collection", db, coll });
  assert.equal(
    partition("mongodb://u:p%40@b:27018,a/?replicaSet=x", "test", "users"),
    "mongodb://a,b:27018/test.users",
  );
  assert.equal(partition("mongodb+srv://cluster.example/?tls=true", "test", ""), "mongodb+srv://cluster.example/test");
});

test("topics follow prefix, suffix, separator and map", () => {
  const users = { db: "ddl", coll: "users" };
  assert.equal(topicOf({}, users), "ddl.users");
  assert.equal(topicOf({ "topic.prefix": "pre", "topic.suffix": "suf" }, users), "pre.ddl.users.suf");
  const mapped = { "topic.prefix": "pre", "topic.namespace.map": '{"ddl.users":"mapped_users"}' };
  assert.equal(topicOf(mapped, users), "pre.mapped_users");
  assert.equal(topicOf(mapped, { db: "ddl", coll: "" }), "pre.ddl");
  assert.equal(topicOf({ "topic.namespace.map": '{"ddl":"other"}' }, users), "other.users");
  assert.equal(topicOf({ "topic.namespace.map": '{"*":"all"}' }, users), "all");
  const database = parseConnector({ database: "test" });
  assert.deepEqual(topicsInScope(database, ["test.a", "test.b", "testing.a", "docker-connect-status"]), [
    "test.a",
    "test.b",
  ]);
});

test("what is copied: by watch, by expression, never system collections", () => {
  const existing = [
    { db: "test", coll: "users" },
    { db: "test", coll: "system.views" },
    { db: "test", coll: "orders" },
    { db: "configurations", coll: "c" },
  ];
  const copied = (config: Record<string, string>): string[] =>
    copiedNamespaces(parseConnector(config), existing).map(({ db, coll }) => `${db}.${coll}`);
  assert.deepEqual(copied({ database: "test", collection: "later" }), ["test.later"]);
  assert.deepEqual(copied({ database: "test" }), ["test.users", "test.orders"]);
  assert.deepEqual(
    copied({}),
    ["test.users", "test.orders"],
    "a database whose name begins with config is left out, as the connector does",
  );
  const regex = { "startup.mode.copy.existing.namespace.regex": "^test\\.u" };
  assert.deepEqual(copied({ database: "test", ...regex }), ["test.users"]);
});

test("configurations that cannot lead to an equal target are refused by name", () => {
  const refused = (config: Record<string, string>): string => {
    try {
      requireSuitable("c", parseConnector({ "startup.mode": "copy_existing", database: "test", ...config }));
      return "accepted";
    } catch (error) {
      return isFerry(error) ? error.code : "other";
    }
  };
  assert.equal(refused({}), "accepted");
  assert.equal(refused({ "errors.tolerance": "all" }), "FERRY_CAPTURE_TOLERANT");
  assert.equal(refused({ "mongo.errors.tolerance": "all" }), "FERRY_CAPTURE_TOLERANT");
  assert.equal(refused({ "publish.full.document.only": "true" }), "FERRY_CAPTURE_UNUSABLE");
  const byToken = { "change.stream.document.key.as.key": "false" };
  assert.equal(refused(byToken), "accepted", "one partition keeps the order");
  assert.equal(refused({ ...byToken, "topic.creation.default.partitions": "4" }), "FERRY_CAPTURE_UNUSABLE");
  assert.equal(refused({ "output.format.key": "bson", "heartbeat.interval.ms": "1000" }), "FERRY_CAPTURE_KEY_FORMAT");
  assert.equal(refused({ "connection.uri": "mongodb://a/?readPreference=secondary" }), "FERRY_CAPTURE_STALE_READS");
});

test("the copy polls shortly; Connect's own name does not make a configuration another", () => {
  const { config } = readConnectorFile(SEED);
  const starting = startingConfig(parseConnector(config));
  assert.deepEqual(starting, { ...config, "poll.await.time.ms": "500" });
  assert.equal(startingConfig(parseConnector({ "poll.await.time.ms": "100" }))["poll.await.time.ms"], "100");
  assert.ok(sameConfig({ ...config, name: "a" }, config));
  assert.ok(!sameConfig(starting, config));
});
