// Hands over to the Node that ferry is pinned to. Runs on any Node >= 20; imports nothing that must be installed.
import { spawn } from "node:child_process";
import { accessSync, constants, existsSync, mkdirSync } from "node:fs";
import { createRequire } from "node:module";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

export const root = dirname(dirname(fileURLToPath(import.meta.url)));
const isWindows = process.platform === "win32";

export const fail = (sentence, status = 70) => {
  console.error(`ferry: ${sentence}`);
  process.exit(status);
};

/** The package `node` below ferry, or beside it where npm has put it there. */
const pinned = () => {
  try {
    const found = createRequire(import.meta.url).resolve("node/package.json");
    return join(dirname(found), "bin", isWindows ? "node.exe" : "node");
  } catch {
    return "";
  }
};

/** The pinned Node, or this one where install scripts are switched off and it is new enough. */
const pinnedNode = () => {
  const node = pinned();
  if (existsSync(node)) return node;
  if (Number(process.versions.node.split(".")[0]) >= 24) return process.execPath;
  return fail(
    "the pinned Node 24 is missing: npm ran with install scripts off; use `npm rebuild node`, or start with Node >= 24",
  );
};

/** This process becomes the other one: its id, its terminal and its end are one. Node has it since 22.15, not on Windows. */
const become = (node, command, env) => {
  if (typeof process.execve === "function" && !isWindows) process.execve(node, [node, ...command], env);
};

/** Where no process can become another: a child that gets the signals, and ends with this process, however that ends. */
const beside = (node, command, env) => {
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

/**
 * Where what was compiled once is kept: a command starts in half of the time. With ferry itself, or with the user where ferry
 * was installed by another one. Node goes without where it may not write either.
 */
export const compileCache = (home = root, env = process.env) => {
  const own = join(home, "node_modules", ".cache", "node");
  try {
    mkdirSync(own, { recursive: true });
    accessSync(own, constants.W_OK);
    return own;
  } catch {
    return join(env.FERRY_CACHE || join(env.XDG_CACHE_HOME || join(homedir(), ".cache"), "ferry"), "node");
  }
};

/** Runs a script of this folder's parent, given by its path there, with the arguments. */
export const launch = (script, args) => {
  const node = pinnedNode();
  const command = ["--disable-warning=ExperimentalWarning", join(root, script), ...args];
  const env = { ...process.env, NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE ?? compileCache() };
  become(node, command, env);
  beside(node, command, env);
};
