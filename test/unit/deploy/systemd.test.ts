import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { SETTINGS } from "#base/config/settings.ts";
import { CATALOGUE } from "#base/errors/catalogue.ts";
import { ferryProgram } from "../../../src/surface/cli/program.ts";

const UNIT = "deploy/systemd/ferry-run.service";
const values = (key: string): readonly string[] =>
  [...readFileSync(UNIT, "utf8").matchAll(new RegExp(`^${key}=(.*)$`, "gm"))].map(([, value = ""]) => value);

test("the unit starts a command that takes its flags, with variables that ferry knows", async () => {
  const [line = ""] = values("ExecStart");
  const [program, name = "", ...args] = line.split(" ");
  assert.equal(program, "ferry");
  const command = (await ferryProgram([name])).commands.find((one) => one.name() === name);
  const { unknown, operands } = command?.parseOptions(args) ?? { unknown: ["no command"], operands: [] };
  assert.deepEqual({ unknown, operands }, { unknown: [], operands: [] });
  const known = Object.values(SETTINGS.properties).flatMap(({ env }) => [env, `${env}_FILE`]);
  for (const variable of values("Environment").flatMap((text) => text.split(" ")))
    assert.ok([...known, "FERRY_HOME"].includes(variable.split("=")[0] ?? ""), variable);
});

test("it is not started again for what would happen again: usage, an unsafe data path, missing privileges", () => {
  const [statuses = ""] = values("RestartPreventExitStatus");
  assert.deepEqual(statuses.split(" ").map(Number), [64, 76, 77]);
  const exits = new Set(Object.values(CATALOGUE).map(({ exit }) => exit));
  for (const status of [64, 76, 77]) assert.ok(exits.has(status));
});

test("systemd takes it, where there is one", (t) => {
  const { status, stderr, error } = spawnSync("systemd-analyze", ["verify", UNIT], { encoding: "utf8" });
  if (error !== undefined) return t.skip("no systemd-analyze here");
  // Whether ferry is installed is not a matter of the file.
  const complaints = stderr
    .split("\n")
    .filter((text) => text.includes("ferry-run") && !/not executable|Command ferry/.test(text));
  assert.deepEqual(complaints, [], `status ${status}`);
});
