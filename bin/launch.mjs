// Hands over to the Node that ferry is pinned to. Runs on any Node >= 20; imports nothing that must be installed.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
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

/** Runs a script of this folder's parent, given by its path there, with the arguments. */
export const launch = (script, args) => {
  const node = pinnedNode();
  const command = ["--disable-warning=ExperimentalWarning", join(root, script), ...args];
  // What was compiled once is kept: a command starts in two thirds of the time. Node goes without where it may not write.
  const env = { NODE_COMPILE_CACHE: join(root, "node_modules", ".cache", "node"), ...process.env };
  become(node, command, env);
  beside(node, command, env);
};
