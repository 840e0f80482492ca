import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isSameProcess, processStamp } from "#tools/stack/process.ts";
import type { Running } from "#tools/stack/server.ts";

const PREFIX = "ferry-test-";
const OWNER = "owner.json";
/** Where a folder has a file system of its own. */
const DISK = "disk";
const MOUNTS = "/proc/self/mounts";

const recorded = (file: string): Running | undefined => {
  try {
    return JSON.parse(readFileSync(file, "utf8")) as Running;
  } catch {
    return undefined; // written by half, or gone
  }
};

const pidFiles = (folder: string): readonly string[] =>
  readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".log.pid"))
    .map((name) => join(folder, name));

/** Kills the servers whose pid files are below `folder`; each is checked by its start time first. @returns their pid files */
export const killServersOf = (folder: string): readonly string[] =>
  pidFiles(folder).filter((file) => {
    const running = recorded(file);
    if (running === undefined || !isSameProcess(running.pid, running.stamp)) return false;
    process.kill(running.pid, "SIGKILL");
    return true;
  });

/** Small disks, and network namespaces that an ending Docker engine left mounted: they keep a folder from being removed. */
const unmount = (folder: string): void => {
  if (!existsSync(MOUNTS)) return; // only Linux's root mounts anything there
  const points = readFileSync(MOUNTS, "utf8")
    .split("\n")
    .map((line) => line.split(" ")[1] ?? "")
    .filter((point) => point.startsWith(`${folder}/`));
  for (const point of points.reverse()) spawnSync("umount", [point]);
};

/** Removes what test runs that were killed have left behind: their servers and their folders. */
const reap = (): void => {
  for (const name of readdirSync(tmpdir()).filter((entry) => entry.startsWith(PREFIX))) {
    const folder = join(tmpdir(), name);
    const owner = recorded(join(folder, OWNER));
    if (owner === undefined || isSameProcess(owner.pid, owner.stamp)) continue;
    killServersOf(folder);
    unmount(folder);
    rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
  }
};

let reaped = false;
const mine = new Set<string>();

const makeFolder = (): string => {
  if (!reaped) {
    reaped = true;
    reap();
    // The last resort when a test process ends without disposing: nothing survives it, and it is reported.
    process.on("exit", () => {
      const left = [...mine].flatMap(killServersOf);
      for (const folder of mine) removeFolder(folder);
      if (left.length === 0) return;
      console.log(`this file left servers running: ${left.join(", ")}`);
      process.exitCode = 1;
    });
  }
  const folder = mkdtempSync(join(tmpdir(), PREFIX));
  writeFileSync(join(folder, OWNER), JSON.stringify({ pid: process.pid, stamp: processStamp(process.pid) }));
  mine.add(folder);
  return folder;
};

/** Kills what still runs in it and removes it. `FERRY_TEST_KEEP=1` keeps it, to look at logs. */
export const removeFolder = (folder: string): void => {
  mine.delete(folder);
  if (!existsSync(folder)) return;
  killServersOf(folder);
  unmount(folder);
  if (process.env["FERRY_TEST_KEEP"] !== "1") rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
};

/** A folder that disappears with its scope, and that the next run removes if this one is killed. */
export type TempFolder = Disposable & Readonly<{ path: string }>;

/** A fresh folder below the system's temporary one: `using folder = tempFolder()`. */
export const tempFolder = (): TempFolder => {
  const path = makeFolder();
  return { path, [Symbol.dispose]: () => removeFolder(path) };
};

/** A file system of so many MB, which `grow` makes larger; a text where this user cannot mount one. */
export const smallDisk = (mb: number): (TempFolder & Readonly<{ grow: (mb: number) => void }>) | string => {
  const folder = makeFolder();
  const path = join(folder, DISK);
  mkdirSync(path);
  const mount = (options: string): string | undefined => {
    const args = ["-t", "tmpfs", "-o", options, "tmpfs", path];
    const { status, stderr, error } = spawnSync("mount", args, { encoding: "utf8" });
    return status === 0 ? undefined : (error?.message ?? stderr.trim());
  };
  const refused = mount(`size=${mb}m`);
  if (refused !== undefined) {
    removeFolder(folder);
    return refused;
  }
  const grow = (to: number): void => {
    const failed = mount(`remount,size=${to}m`);
    if (failed !== undefined) throw new Error(failed);
  };
  return { path, grow, [Symbol.dispose]: () => removeFolder(folder) };
};
