import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { CATALOGUE } from "#base/errors/catalogue.ts";

const SOURCES = readdirSync("src", { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".ts") && name !== join("errors", "catalogue.ts"))
  .map((name) => ({ name, text: readFileSync(join("src", name), "utf8") }));

/** Environment variables and the like, which begin alike. */
const NO_CODES =
  /process\.env|env\[|env: "FERRY_|FERRY_(HOME|CACHE|MIRROR_MONGODB|MIRROR_APACHE|FAULT|SOURCE|TARGET|KAFKA|CONNECT|STATE_DB|GROUP|LOG_LEVEL|SEED|TEST_KEEP)\b/;

test("every code that the sources name is in the catalogue", () => {
  const unknown = SOURCES.flatMap(({ name, text }) =>
    [...text.matchAll(/"(FERRY_[A-Z0-9_]+)"/g)]
      .filter(([, code = ""]) => !(code in CATALOGUE) && !NO_CODES.test(code))
      .filter(({ index }) => !NO_CODES.test(text.slice(Math.max(0, index - 30), index + 40)))
      .map(([, code]) => `${name}: ${code}`),
  );
  assert.deepEqual(unknown, []);
});

test("every code of the catalogue is used somewhere", () => {
  const all = SOURCES.map(({ text }) => text).join("\n");
  assert.deepEqual(
    Object.keys(CATALOGUE).filter((code) => !all.includes(`"${code}"`)),
    [],
  );
});

test("every entry is two sentences and a known exit status", () => {
  for (const [code, { meaning, hint, exit, retry, halts }] of Object.entries(CATALOGUE)) {
    assert.match(meaning, /^[A-Z`a-z].*\.$/s, `${code}: the meaning is a sentence`);
    assert.match(hint, /^.*[.)]$/s, `${code}: the hint is a sentence`);
    assert.ok([1, 64, 69, 70, 74, 75, 76, 77].includes(exit), `${code}: exit ${exit}`);
    if (halts) assert.deepEqual([exit, retry], [76, "never"], `${code}: what halts a route is not transient`);
    assert.match(code, /^FERRY_[A-Z]+(_[A-Z]+)*$/);
  }
});
