// In a clone: makes node_modules match the lock file, once for each lock file.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fail, root } from "./launch.mjs";

const stamp = join(root, "node_modules", ".ferry-install");
const isWindows = process.platform === "win32";

/** Installs when the lock file changed since the last install, or when there was none. */
export const install = () => {
  if (!existsSync(join(root, "package-lock.json")))
    fail(`${root} is neither a clone of ferry's repository (no package-lock.json) nor its package (no dist)`, 64);
  const wanted = createHash("sha256")
    .update(readFileSync(join(root, "package-lock.json")))
    .digest("hex");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === wanted) return;
  console.error("ferry: installing the packages of package-lock.json into node_modules (once)");
  const npm = spawnSync(isWindows ? "npm.cmd" : "npm", ["ci", "--no-audit", "--no-fund", "--loglevel=error"], {
    cwd: root,
    stdio: ["ignore", "ignore", "inherit"],
    shell: isWindows,
  });
  if (npm.status !== 0)
    fail("npm ci failed; check the network and the npm registry settings, then run the same command again");
  writeFileSync(stamp, wanted);
};
