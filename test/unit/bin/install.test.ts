import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { tempFolder } from "../../harness/folders.ts";

/** A clone with one package, which comes from a folder in it: no registry is asked. */
const cloneIn = (root: string): void => {
  cpSync("bin", join(root, "bin"), { recursive: true });
  mkdirSync(join(root, "one"));
  const one = { name: "one", version: "1.0.0" };
  const whole = { name: "whole", version: "1.0.0", dependencies: { one: "file:one" } };
  const packages = { "": whole, "node_modules/one": { resolved: "one", link: true }, one };
  writeFileSync(join(root, "one", "package.json"), JSON.stringify(one));
  writeFileSync(join(root, "package.json"), JSON.stringify(whole));
  writeFileSync(join(root, "package-lock.json"), JSON.stringify({ ...whole, lockfileVersion: 3, packages }));
};

const installing = async (root: string): Promise<string> => {
  const script = `import { install } from ${JSON.stringify(join(root, "bin", "install.mjs"))}; install();`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", script], { stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    said += text;
  });
  const [status] = await once(child, "close");
  assert.equal(status, 0, said);
  return said;
};

test("of three commands that start at once in a new clone one installs the packages", { timeout: 60_000 }, async () => {
  using folder = tempFolder();
  cloneIn(folder.path);
  const all = await Promise.all([1, 2, 3].map(() => installing(folder.path)));
  assert.equal(all.filter((said) => said.includes("ferry: installing")).length, 1, all.join("\n"));
  assert.ok(existsSync(join(folder.path, "node_modules", "one", "package.json")));
  assert.equal(await installing(folder.path), "", "and no later one");
});
