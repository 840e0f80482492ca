import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { ENVIRONMENT } from "#config/environment.ts";
import { addressVariables, SETTINGS } from "#config/settings.ts";
import { CATALOGUE } from "#errors/catalogue.ts";
import { stalePages } from "../../../docs/generate.ts";

test("the generated pages say what the code says", () => {
  assert.deepEqual(stalePages(), [], "run npm run docs");
});

/** For tests alone: docs/60-tests-and-benches.md. */
const OF_TESTS = ["FERRY_FAULT"];

test("every environment variable that the code names is declared, so that docs/config.md has it", () => {
  const declared = new Set([
    ...Object.values(ENVIRONMENT).map(({ env }) => env as string),
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
