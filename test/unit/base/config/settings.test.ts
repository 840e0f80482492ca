import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { resolveSettings, settingVariables } from "#base/config/settings.ts";
import { isFerry } from "#base/errors/ferryError.ts";
import { tempFolder } from "../../../harness/folders.ts";

test("a flag goes before the environment, which goes before the local stack, which goes before the default", () => {
  using folder = tempFolder();
  const endpoints = { kafka: "stack:1", target: "mongodb://stack" };
  writeFileSync(join(folder.path, "stack.json"), JSON.stringify({ endpoints }));
  const env = { FERRY_HOME: folder.path, FERRY_TARGET: "mongodb://environment", FERRY_GROUP: "environment" };
  const { kafka, target, group, stateDb } = resolveSettings({ group: "flag" }, ["kafka", "target"], env);
  assert.deepEqual(
    { kafka, target, group, stateDb },
    { kafka: "stack:1", target: "mongodb://environment", group: "flag", stateDb: "ferry" },
  );
});

test("what is missing or malformed is one sentence that names the setting, and shows no value", () => {
  using folder = tempFolder();
  const env = { FERRY_HOME: folder.path };
  for (const [flags, sentence] of [
    [{}, "connect is not set; give --connect or FERRY_CONNECT, or start a local stack with `ferry stack up`"],
    [{ connect: "user:secret@host" }, "connect is invalid: Base URL of Kafka Connect's REST API, such as"],
    [{ connect: "http://host", kafka: "a:9092,b:99999" }, "kafka is invalid: Kafka bootstrap servers, host:port"],
    [{ connect: "http:///x", logLevel: "info" }, "connect is invalid: "],
    [{ connect: "http://host", logLevel: "loud" }, "logLevel is invalid: debug, info, warn, error or"],
  ] as const)
    assert.throws(
      () => resolveSettings(flags, ["connect"], env),
      (error) => isFerry(error, "FERRY_USAGE") && error.detail.startsWith(sentence) && !error.detail.includes("secret"),
      sentence,
    );
});

test("what a process is told by its environment is what this one has, whatever it was read from", () => {
  using folder = tempFolder();
  const file = join(folder.path, "source");
  writeFileSync(file, "mongodb://from.file/\n");
  const env = { FERRY_HOME: folder.path, FERRY_SOURCE_FILE: file, FERRY_TARGET: "mongodb://environment/" };
  const found = resolveSettings({ stateDb: "named" }, ["source"], env);
  const told = { ...env, ...settingVariables(found) };
  assert.deepEqual(resolveSettings({}, ["source"], told), found);
});
