import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { ErrorCode } from "#base/errors/catalogue.ts";
import { FerryError, isFerry } from "#base/errors/ferryError.ts";
import { cacheFolder, ensureSpace, makeFolder, publishFolder, temporaryBeside, withLock } from "./disk.ts";
import { download } from "./download.ts";
import type { Pinned } from "./pins.ts";
import { type RunResult, runProgram } from "./process.ts";

/** Told what is being done and where things were put, one line each. */
export type Report = (line: string) => void;

/** One way to get a program that is not installed: `fetch` leaves it in `folder`, verified. */
export type FetchRoute = Readonly<{ name: string; fetch: (folder: string, report: Report) => Promise<void> }>;

export type Artefact = Readonly<{
  /** What it is, for people. */
  what: string;
  /** Its folder in the cache, version included. */
  folder: string;
  /** The file or folder inside that the caller wants; its presence means complete, since folders appear by rename. */
  entry: string;
  /** Bytes needed to fetch and unpack it. */
  bytes: number;
  routes: readonly FetchRoute[];
  /** What to raise when no route works. Its hint in the catalogue says how to help oneself. */
  failure: ErrorCode;
  /** Why what is installed was not taken, when something is. */
  refused?: string | undefined;
  /** Throws when the fetched program does not run on this machine. */
  probe?: (entry: string) => Promise<void>;
}>;

const FETCH_TIMEOUT_MS = 15 * 60_000;

/** A failure of one route as a clause: its sentence, without the code. */
const clause = (error: unknown): string =>
  isFerry(error) ? error.detail : error instanceof Error ? error.message : String(error);

const tryRoutes = async (artefact: Artefact, home: string, report: Report): Promise<void> => {
  const tried: string[] = artefact.refused === undefined ? [] : [artefact.refused];
  for (const route of artefact.routes) {
    const folder = await temporaryBeside(home);
    try {
      report(`${artefact.what}: trying ${route.name}`);
      await route.fetch(folder, report);
      if (!existsSync(join(folder, artefact.entry)))
        throw new FerryError("FERRY_STACK_CHECKSUM", `the download has no ${artefact.entry}`);
      await artefact.probe?.(join(folder, artefact.entry));
      await publishFolder(folder, home);
      report(`${artefact.what}: put into ${home}`);
      return;
    } catch (error) {
      await rm(folder, { recursive: true, force: true });
      if (isFerry(error, "FERRY_STACK_DISK")) throw error; // the next route would need the same room
      tried.push(`${route.name}: ${clause(error)}`);
      report(`${artefact.what}: ${tried.at(-1)}`);
    }
  }
  throw new FerryError(
    artefact.failure,
    `${artefact.what} is not installed and cannot be downloaded: ${tried.join("; ")}`,
  );
};

/**
 * The artefact from the cache, fetched first if it is not there. Safe when several processes ask at the same time: one downloads,
 * the others wait for it, and a folder appears under its final name only when it is complete.
 * @returns the path of `entry`.
 * @throws the artefact's failure code naming every route tried, FERRY_STACK_DISK, FERRY_TIMEOUT.
 */
export const ensureCached = async (artefact: Artefact, report: Report): Promise<string> => {
  const home = join(cacheFolder(), artefact.folder);
  const entry = join(home, artefact.entry);
  if (!existsSync(entry)) {
    await withLock(`${home}.lock`, FETCH_TIMEOUT_MS, async () => {
      if (existsSync(entry)) return;
      await ensureSpace(dirname(home), artefact.bytes, artefact.what);
      await tryRoutes(artefact, home, report);
    });
  }
  report(`${artefact.what}: ${entry}`);
  return entry;
};

/** Fetches one pinned file from the first of several addresses that has it. @throws the last address's error. */
export const downloadFirst = async (addresses: readonly string[], to: string, pinned: Pinned): Promise<void> => {
  const failures: string[] = [];
  for (const address of addresses) {
    try {
      await download(address, to, pinned);
      return;
    } catch (error) {
      failures.push(clause(error));
    }
  }
  throw new FerryError("FERRY_STACK_DOWNLOAD", failures.join(", "));
};

const lastLine = (result: RunResult): string =>
  result.failure ??
  [...result.stderr.trim().split("\n"), ...result.stdout.trim().split("\n")].findLast((line) => /error/i.test(line)) ??
  `exit status ${result.code}`;

/** Unpacks a tar.gz. @throws FERRY_STACK_CHECKSUM when tar refuses it. */
export const untar = async (archive: string, folder: string, args: readonly string[] = []): Promise<void> => {
  await makeFolder(folder);
  const result = await runProgram("tar", ["-xzf", archive, "-C", folder, ...args], { timeoutMs: 300_000 });
  if (result.code !== 0) throw new FerryError("FERRY_STACK_CHECKSUM", `tar cannot unpack it: ${lastLine(result)}`);
};

const PIPS: readonly (readonly [string, ...string[]])[] = [
  ["pip3"],
  ["pip"],
  ["python3", "-m", "pip"],
  ["python", "-m", "pip"],
];

/**
 * Lets pip, as it is configured on this machine, download one wheel into `folder`.
 * @throws FERRY_STACK_DOWNLOAD when there is no pip, or it cannot get the wheel.
 */
export const pipDownload = async (requirement: string, folder: string): Promise<void> => {
  let failure = "no pip on PATH";
  for (const [command, ...before] of PIPS) {
    const args = [...before, "download", "--no-deps", "--only-binary=:all:", "--retries=1", "--timeout=20", "-q"];
    const result = await runProgram(command, [...args, "-d", folder, requirement], { timeoutMs: FETCH_TIMEOUT_MS });
    if (result.code === 0) return;
    if (result.failure === "not found" || /No module named pip/.test(result.stderr)) continue;
    failure = `pip cannot download ${requirement} (${lastLine(result)})`;
  }
  throw new FerryError("FERRY_STACK_DOWNLOAD", failure);
};

/** Runs Maven in `folder`. @throws FERRY_STACK_DOWNLOAD with Maven's own last error. */
export const runMaven = async (
  maven: string,
  folder: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
): Promise<void> => {
  const result = await runProgram(maven, ["-q", "-B", "-ntp", ...args], {
    cwd: folder,
    env,
    timeoutMs: FETCH_TIMEOUT_MS,
  });
  if (result.code !== 0) throw new FerryError("FERRY_STACK_DOWNLOAD", `Maven failed (${lastLine(result)})`);
};
