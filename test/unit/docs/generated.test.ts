import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { ENVIRONMENT, FOR_COMMANDS } from "#base/config/environment.ts";
import { addressVariables, SETTINGS } from "#base/config/settings.ts";
import { CATALOGUE } from "#base/errors/catalogue.ts";
import { stalePages } from "../../../docs/generate.ts";

test("the generated pages and figures say what the code and the recorded benches say", () => {
  assert.deepEqual(stalePages(), [], "run npm run docs");
});

test("every recorded bench says at which commit, on which day and machine", () => {
  for (const file of readdirSync("bench/results")) {
    const { at, machine, versions, ratios } = JSON.parse(readFileSync(join("bench/results", file), "utf8"));
    assert.match(versions.commit, /^[0-9a-f]{7,}(-dirty)?$/, file);
    assert.match(at, /^20\d\d-/, file);
    assert.ok(machine.cores > 0 && Object.keys(ratios).length > 0, file);
  }
});

/** For tests alone: docs/60-tests-and-benches.md. */
const OF_TESTS = ["FERRY_FAULT"];

test("every environment variable that the code names is declared, so that docs/config.md has it", () => {
  const declared = new Set([
    ...[...Object.values(ENVIRONMENT), ...Object.values(FOR_COMMANDS)].map(({ env }) => env as string),
    ...(Object.values(SETTINGS.properties) as unknown as { env: string }[]).map(({ env }) => env),
    ...addressVariables(),
    ...Object.keys(CATALOGUE),
    ...OF_TESTS,
  ]);
  const unknown = ["src", "bin", "deploy"].flatMap((folder) =>
    readdirSync(folder, { recursive: true, encoding: "utf8" })
      .filter((name) => /\.(ts|mjs|json)$/.test(name))
      .flatMap((name) => readFileSync(join(folder, name), "utf8").match(/\bFERRY_[A-Z_]*[A-Z]\b/g) ?? [])
      .filter((word) => !declared.has(word)),
  );
  assert.deepEqual(unknown, []);
});
