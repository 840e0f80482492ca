// In a clone: makes node_modules match the lock file, once for each lock file.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fail, root } from "./launch.mjs";

const stamp = join(root, "node_modules", ".ferry-install");
const isWindows = process.platform === "win32";

const sha256 = (text) => createHash("sha256").update(text).digest("hex");

/** Holds the id of the process that installs into this clone. */
const lock = join(tmpdir(), `ferry-install-${sha256(root).slice(0, 16)}`);

const isAlive = (pid) => {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === "EPERM";
  }
};

/** Whether this process has the lock now; that of a process which died is taken from it. */
const takes = () => {
  try {
    writeFileSync(lock, String(process.pid), { flag: "wx" });
    return true;
  } catch (error) {
    if (error.code !== "EEXIST") throw error;
    const owner = Number(existsSync(lock) ? readFileSync(lock, "utf8") : 0);
    if (owner > 0 && !isAlive(owner)) rmSync(lock, { force: true });
    return false;
  }
};

/** npm empties node_modules first: two at once would each destroy what the other has installed. */
const alone = (work) => {
  const waiting = new Int32Array(new SharedArrayBuffer(4));
  for (let looks = 1; !takes(); looks++) {
    if (looks === 2) console.error(`ferry: another process installs the packages; if none does, remove ${lock}`);
    Atomics.wait(waiting, 0, 0, 200);
  }
  try {
    work();
  } finally {
    rmSync(lock, { force: true });
  }
};

/** Installs when the lock file changed since the last install, or when there was none. */
export const install = () => {
  if (!existsSync(join(root, "package-lock.json")))
    fail(`${root} is neither a clone of ferry's repository (no package-lock.json) nor its package (no dist)`, 64);
  const wanted = sha256(readFileSync(join(root, "package-lock.json")));
  const isInstalled = () => existsSync(stamp) && readFileSync(stamp, "utf8") === wanted;
  if (!isInstalled()) alone(() => isInstalled() || ci(wanted));
};

const ci = (wanted) => {
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
