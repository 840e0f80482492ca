import { randomBytes } from "node:crypto";
import { existsSync, readFileSync, statSync } from "node:fs";
import { mkdir, open, readFile, rename, rm, statfs, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { ENVIRONMENT } from "#base/config/environment.ts";
import { FerryError, isFerry } from "#base/errors/ferryError.ts";
import { fileReason } from "#base/errors/systemError.ts";
import { systemClock } from "#base/flow/clock.ts";
import { waitFor } from "#base/flow/retry.ts";
import { isSameProcess, processStamp } from "./process.ts";

/** Where fetched programs are kept: `$FERRY_CACHE`, else `$XDG_CACHE_HOME/ferry`, else `~/.cache/ferry`. */
export const cacheFolder = (env: NodeJS.ProcessEnv = process.env): string => {
  const given = env[ENVIRONMENT.cache.env];
  if (given) return given;
  return join(env["XDG_CACHE_HOME"] || join(homedir(), ".cache"), "ferry");
};

const nearestExisting = (folder: string): string => (existsSync(folder) ? folder : nearestExisting(dirname(folder)));

const mib = (bytes: number): string => `${Math.ceil(bytes / 2 ** 20)} MiB`;

/**
 * Makes sure that `bytes` are free where `folder` is or will be.
 * @throws FERRY_STACK_DISK naming the folder, what is needed and what is there.
 */
export const ensureSpace = async (folder: string, bytes: number, what: string): Promise<void> => {
  const at = nearestExisting(folder);
  const { bavail, bsize } = await statfs(at);
  const free = bavail * bsize;
  if (free < bytes)
    throw new FerryError(
      "FERRY_STACK_DISK",
      `${what} needs ${mib(bytes)} in ${folder}, but only ${mib(free)} are free`,
      {
        facts: { folder, needed: bytes, free },
      },
    );
};

/**
 * Makes a folder and those above it. Not by `recursive`, which never ends where the system answers ENOENT for a folder that
 * cannot be made (Node 24, below /proc). @throws FERRY_FILE
 */
export const makeFolder = async (folder: string): Promise<void> => {
  try {
    if (!existsSync(dirname(folder))) await makeFolder(dirname(folder));
    await mkdir(folder);
  } catch (error) {
    if (isFerry(error)) throw error;
    if ((error as NodeJS.ErrnoException).code === "EEXIST" && statSync(folder).isDirectory()) return;
    throw new FerryError("FERRY_FILE", `the folder ${folder} cannot be made: ${fileReason(error)}`, { cause: error });
  }
};

/** Kafka, Connect and two mongod need some hundred each; below this Java fails to find its own classes. */
const NEEDED_FILES = 1024;

/** What a process of this one may have open; Node itself raises the soft limit to the hard one. @throws FERRY_STACK_LIMIT */
export const requireOpenFiles = (): void => {
  const limits = existsSync("/proc/self/limits") ? readFileSync("/proc/self/limits", "utf8") : "";
  const [, limit] = /^Max open files +(\d+)/m.exec(limits) ?? [];
  if (limit !== undefined && Number(limit) < NEEDED_FILES)
    throw new FerryError(
      "FERRY_STACK_LIMIT",
      `a process may have ${limit} files open, and the servers need ${NEEDED_FILES}`,
    );
};

/** Writes a file so that readers see the old or the new content, never half of it. */
export const writeAtomically = async (file: string, content: string): Promise<void> => {
  await makeFolder(dirname(file));
  const temporary = `${file}.${randomBytes(6).toString("hex")}`;
  await writeFile(temporary, content, { mode: 0o600 });
  await rename(temporary, file);
};

type Owner = Readonly<{ pid: number; stamp: string }>;

const ownerOf = async (file: string): Promise<Owner | undefined> => {
  try {
    return JSON.parse(await readFile(file, "utf8")) as Owner;
  } catch {
    return undefined; // gone, or being written at this moment: the next look decides
  }
};

const tryLock = async (file: string): Promise<boolean> => {
  try {
    const handle = await open(file, "wx");
    await handle.writeFile(JSON.stringify({ pid: process.pid, stamp: processStamp(process.pid) ?? "" }));
    await handle.close();
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
};

/**
 * Runs `task` while no other process holds the same lock file. A lock whose owner has died is taken over.
 * @throws FERRY_TIMEOUT when the owner keeps it longer than `timeoutMs`.
 */
export const withLock = async <T>(file: string, timeoutMs: number, task: () => Promise<T>): Promise<T> => {
  await makeFolder(dirname(file));
  let unreadable = 0;
  await waitFor(
    async () => {
      if (await tryLock(file)) return { done: true };
      const owner = await ownerOf(file);
      if (owner !== undefined && isSameProcess(owner.pid, owner.stamp))
        return { seen: `process ${owner.pid} holds ${file}` };
      // An unreadable lock is usually one being written right now; only a lasting one is left over.
      if (owner !== undefined || ++unreadable > 20) await rm(file, { force: true });
      return { seen: `${file} was left behind` };
    },
    { what: "waiting for another ferry process", clock: systemClock, timeoutMs, everyMs: 100 },
  );
  try {
    return await task();
  } finally {
    await rm(file, { force: true });
  }
};

/** A fresh folder beside `target`, on the same file system, so that a rename can publish it in one step. */
export const temporaryBeside = async (target: string): Promise<string> => {
  const folder = `${target}.part-${process.pid}-${randomBytes(4).toString("hex")}`;
  await makeFolder(folder);
  return folder;
};

/** Publishes a finished folder under its final name; if another process was first, its copy stands. */
export const publishFolder = async (from: string, to: string): Promise<void> => {
  try {
    await rename(from, to);
  } catch (error) {
    if (!existsSync(to)) throw error;
    await rm(from, { recursive: true, force: true });
  }
};
