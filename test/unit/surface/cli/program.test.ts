import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import type { Command } from "commander";
import { ferryProgram } from "../../../../src/surface/cli/program.ts";

const MAIN = join("src", "surface", "cli", "main.ts");

/** Prints the URL of each loaded module to stderr when the process ends. */
const LOADED = `data:text/javascript,
import { registerHooks } from "node:module";
const urls = [];
registerHooks({ load: (url, context, next) => { urls.push(url); return next(url, context); } });
process.on("exit", () => console.error(JSON.stringify(urls)));`;

/** The packages that `ferry ARGS` loads. */
const packagesOf = (...args: string[]): readonly string[] => {
  const flags = ["--disable-warning=ExperimentalWarning", "--import", LOADED];
  const { stderr, status } = spawnSync(process.execPath, [...flags, MAIN, ...args], { encoding: "utf8" });
  assert.equal(status, 0, stderr);
  const urls = JSON.parse(stderr) as string[];
  return [...new Set(urls.flatMap((url) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url)?.[1] ?? []))].sort();
};

test("ferry --version and --help load the command line alone, no driver and no schema", () => {
  assert.deepEqual(packagesOf("--version"), ["commander"]);
  assert.deepEqual(packagesOf("--help"), ["commander"]);
});

test("a command loads what it works with: config schema needs no Kafka client", () => {
  const loaded = packagesOf("config", "schema");
  assert.ok(loaded.includes("typebox"));
  assert.ok(!loaded.includes("@platformatic/kafka"));
});

test("what serves metrics and the HTTP API is loaded only where they are asked for", () => {
  assert.ok(!packagesOf("help", "worker").includes("prom-client"));
  for (const other of ["worker", "status", "token"]) assert.ok(!packagesOf("help", other).includes("fastify"), other);
  assert.ok(packagesOf("help", "control").includes("fastify"));
});

const helpOf = (command: Command, name: string): string =>
  command.commands.find((one) => one.name() === name)?.helpInformation() ?? "";

test("the command that is named has its flags, the others their names and descriptions", async () => {
  const program = await ferryProgram(["run"]);
  assert.match(helpOf(program, "run"), /--spool <when>/);
  assert.doesNotMatch(helpOf(program, "worker"), /--slices/);
  assert.deepEqual(
    program.commands.filter((one) => one.description() === ""),
    [],
  );
});

test("ferry help COMMAND shows that command's flags", () => {
  const { stdout } = spawnSync(process.execPath, [MAIN, "help", "worker"], { encoding: "utf8" });
  assert.match(stdout, /--slices <value>/);
});
