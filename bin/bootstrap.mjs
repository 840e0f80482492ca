#!/usr/bin/env node
// Runs on any Node >= 20, before anything is installed: makes node_modules match the lock file once, then hands over
// to the Node 24 that the lock file pins, which runs the TypeScript sources directly.
// Usage: node bin/bootstrap.mjs SCRIPT [ARG ...]
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const stamp = join(root, "node_modules", ".ferry-install");

const fail = (sentence, status = 70) => {
  console.error(`ferry: ${sentence}`);
  process.exit(status);
};

/** Installs when the lock file changed since the last install, or when there was none. */
const install = () => {
  if (!existsSync(join(root, "package-lock.json")))
    fail(
      `${root} has no package-lock.json: ferry runs from a clone of its repository, not from a packed or global install; clone it and run npm run demo there`,
      64,
    );
  const wanted = createHash("sha256")
    .update(readFileSync(join(root, "package-lock.json")))
    .digest("hex");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === wanted) return;
  console.error("ferry: installing the packages of package-lock.json into node_modules (once)");
  const npm = spawnSync(
    process.platform === "win32" ? "npm.cmd" : "npm",
    ["ci", "--no-audit", "--no-fund", "--loglevel=error"],
    {
      cwd: root,
      stdio: ["ignore", "ignore", "inherit"],
      shell: process.platform === "win32",
    },
  );
  if (npm.status !== 0)
    fail("npm ci failed; check the network and the npm registry settings, then run the same command again");
  writeFileSync(stamp, wanted);
};

/** The pinned Node, or this one where install scripts are switched off and it is new enough. */
const pinnedNode = () => {
  const pinned = join(root, "node_modules", "node", "bin", process.platform === "win32" ? "node.exe" : "node");
  if (existsSync(pinned)) return pinned;
  if (Number(process.versions.node.split(".")[0]) >= 24) return process.execPath;
  return fail(
    "the pinned Node 24 is missing: npm ran with install scripts off; use `npm rebuild node`, or start with Node >= 24",
  );
};

install();
const [script, ...args] = process.argv.slice(2);
const node = pinnedNode();
const command = ["--disable-warning=ExperimentalWarning", join(root, script), ...args];
// What was compiled once is kept: a command starts in two thirds of the time. Node goes without where it may not write.
const env = { NODE_COMPILE_CACHE: join(root, "node_modules", ".cache", "node"), ...process.env };

/** This process becomes the other one: its id, its terminal and its end are one. Node has it since 22.15, not on Windows. */
const become = () => {
  if (typeof process.execve === "function" && process.platform !== "win32")
    process.execve(node, [node, ...command], env);
};

/** Where no process can become another: a child that gets the signals, and ends with this process, however that ends. */
const beside = () => {
  const tied = ["--import", `${pathToFileURL(join(root, "bin", "tied.mjs")).href}?launcher=${process.pid}`];
  const child = spawn(node, [...tied, ...command], { stdio: ["inherit", "inherit", "inherit", "pipe"], env });
  // The child decides what a signal means (soft stop first); this process only passes it on and waits. A terminal's Ctrl-C
  // reaches the whole process group by itself: passing it on too would make it count as a second, hard one.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
    process.on(signal, () => {
      if (!(signal === "SIGINT" && process.stdin.isTTY)) child.kill(signal);
    });
  }
  child.on("exit", (code, signal) => {
    if (signal === null) process.exit(code ?? 1);
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  });
};

become();
beside();
