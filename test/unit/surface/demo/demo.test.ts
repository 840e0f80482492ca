import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { CATALOGUE } from "#base/errors/catalogue.ts";
import { FerryError, isFerry } from "#base/errors/ferryError.ts";
import { goOn } from "../../../../src/surface/demo/goOn.ts";
import { type Demo, RUN_BOOK } from "../../../../src/surface/demo/runBook.ts";
import { runDemo, takeStep } from "../../../../src/surface/demo/runDemo.ts";
import { demoEnvironment, type Said } from "../../../../src/surface/demo/runFerry.ts";
import { ferry } from "../../../harness/ferry.ts";
import { tempFolder } from "../../../harness/folders.ts";

const options = (lines: string[] = [], signal = new AbortController().signal) => ({
  home: "a/folder",
  workers: 2,
  withCognito: false,
  entry: "main.ts",
  signal,
  print: (line: string) => void lines.push(line),
});

/** A demo whose commands say this, and whose databases are never reached. */
const saying = (said: Said): Demo =>
  ({ ferry: () => Promise.resolve(said), show: () => undefined, signal: AbortSignal.abort() }) as unknown as Demo;

const step = (title: string) => {
  const found = RUN_BOOK.find((one) => one.title.startsWith(title));
  assert.ok(found);
  return found;
};

test("a step that does not hold names itself, what was expected, what was seen, and where the logs are", async () => {
  const failing = { title: "Count them", expected: "100", act: () => Promise.resolve({ ok: false, seen: "99" }) };
  await assert.rejects(
    takeStep(3, failing, saying({ code: 0, output: "" }), options()),
    (error) =>
      isFerry(error, "FERRY_DEMO_STEP") &&
      error.entry.exit === 1 &&
      error.detail === "step 3 (Count them): expected 100; seen: 99; the logs are in a/folder/stack",
  );
});

test("an error in a step is what was seen, and a stop stays a stop", async () => {
  const throwing = {
    title: "Count them",
    expected: "100",
    act: () => Promise.reject(new FerryError("FERRY_TIMEOUT", "last seen: 7")),
  };
  const demo = saying({ code: 0, output: "" });
  await assert.rejects(
    takeStep(3, throwing, demo, options()),
    (error) => isFerry(error, "FERRY_DEMO_STEP") && error.detail.includes("seen: FERRY_TIMEOUT: last seen: 7"),
  );
  const stop = new FerryError("FERRY_STOPPED", "stopped by SIGINT");
  await assert.rejects(takeStep(3, throwing, demo, options([], AbortSignal.abort(stop))), (error) => error === stop);
});

/** A state folder whose stack cannot start. */
const broken = (home: string): string => {
  mkdirSync(home, { recursive: true });
  writeFileSync(join(home, "stack.json"), "no JSON");
  return home;
};

test("servers that do not start are a failed first step, with the remedy", async () => {
  using folder = tempFolder();
  const home = broken(folder.path);
  const lines: string[] = [];
  await assert.rejects(runDemo({ ...options(lines), home }), (error) => {
    assert.ok(isFerry(error, "FERRY_DEMO_STEP"));
    assert.equal(
      error.detail,
      `step 1 (Start MongoDB, Kafka, Kafka Connect and 2 workers): expected all servers answer; seen: FERRY_STACK_STATE: ${home}/stack.json is not a state file of this version (${CATALOGUE.FERRY_STACK_STATE.hint}); the logs are in ${home}/stack`,
    );
    return true;
  });
  assert.match(lines.join("\n"), /^.*1\. Start MongoDB/s);
});

test("a failing demo names its step; with --keep it says how to continue by hand and where the logs are", async () => {
  using folder = tempFolder();
  broken(join(folder.path, "demo"));
  const env = { FERRY_HOME: folder.path };
  const [kept, plain] = await Promise.all([ferry(["demo", "--keep"], { env }), ferry(["demo"], { env })]);
  for (const { status, err } of [kept, plain]) {
    assert.match(
      err,
      /^ferry: FERRY_DEMO_STEP: step 1 \(Start MongoDB.*\): expected all servers answer; seen: FERRY_STACK_STATE/m,
    );
    assert.equal(status, 1);
  }
  const logs = join(folder.path, "demo", "stack");
  assert.ok(kept.out.includes(`The servers keep running; the logs are in ${logs}. Continue by hand`), kept.out);
  assert.ok(kept.out.includes(`export FERRY_HOME=${join(folder.path, "demo")}`), kept.out);
  assert.match(plain.out, /The demo's servers could not be stopped: FERRY_STACK_STATE/);
  assert.doesNotMatch(plain.out, /by hand/);
});

test("what --keep says names the databases where they are known", () => {
  using folder = tempFolder();
  assert.doesNotMatch(goOn(folder.path, { failed: true }), /mongosh|undefined/);
  const endpoints = { source: "mongodb://source", target: "mongodb://target", kafka: "k", connect: "c", names: {} };
  writeFileSync(join(folder.path, "stack.json"), JSON.stringify({ endpoints }));
  for (const failed of [true, false])
    assert.match(goOn(folder.path, { failed }), /mongosh "mongodb:\/\/source"\n +npx mongosh "mongodb:\/\/target"/);
  assert.match(goOn(folder.path, { failed: false }), /^Everything keeps running\./);
});

test("a step is held against the command's output, and against its exit status", async () => {
  const generate = step("Generate data");
  const said = "Data inserted successfully!\n";
  assert.equal((await generate.act(saying({ code: 0, output: said }))).ok, true);
  assert.equal((await generate.act(saying({ code: 1, output: said }))).ok, false);
  const other = await generate.act(saying({ code: 0, output: "Stopped after 7 documents\n" }));
  assert.deepEqual(other, { ok: false, seen: "no Data inserted successfully! in its output" });
});

test("the status must show the connector and its task RUNNING", async () => {
  const status = step("Monitor the status");
  const topics = ["docker-connect-status", "__consumer_offsets", "test.users", "docker-connect-offsets"];
  const text = (task: string): string =>
    [
      ...[...topics, "docker-connect-configs"].map((topic) => `"topic": "${topic}"`),
      `source  |  mongo-source-connect  |  RUNNING  |  ${task}  |  com.mongodb.kafka.connect.MongoSourceConnector`,
      JSON.stringify(["mongo-source-connect"], null, 2),
    ].join("\n");
  assert.equal((await status.act(saying({ code: 0, output: text("RUNNING") }))).ok, true);
  assert.equal((await status.act(saying({ code: 0, output: text("FAILED") }))).ok, false);
});

test("a demo never sees the user's own servers", () => {
  process.env["FERRY_SOURCE"] = "mongodb://production";
  try {
    const env = demoEnvironment("a/folder");
    assert.equal(env["FERRY_SOURCE"], undefined);
    assert.equal(env["FERRY_HOME"], "a/folder");
  } finally {
    delete process.env["FERRY_SOURCE"];
  }
});
