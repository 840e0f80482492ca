import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { tempFolder } from "../../harness/folders.ts";

const { compileCache } = (await import(String(new URL("../../../bin/launch.mjs", import.meta.url)))) as {
  compileCache: (home: string, env: NodeJS.ProcessEnv) => string;
};

test("what was compiled is kept with ferry, and with the user where ferry's folder takes nothing", () => {
  using folder = tempFolder();
  const [own, others] = [join(folder.path, "own"), join(folder.path, "others")];
  mkdirSync(others);
  writeFileSync(join(others, "node_modules"), "no folder");
  const env = { XDG_CACHE_HOME: join(folder.path, "cache") };
  assert.equal(compileCache(own, env), join(own, "node_modules", ".cache", "node"));
  assert.equal(compileCache(others, env), join(folder.path, "cache", "ferry", "node"));
});
