import { spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { FerryError } from "#base/errors/ferryError.ts";
import { withLock } from "#tools/stack/disk.ts";

const ROOM = fileURLToPath(new URL("../../../console/", import.meta.url));
/** Where the page's files are, once it is built. */
export const BUILT = join(ROOM, "built");
/** In a package and in images there are built files only. */
const BUILD = join(ROOM, "build.ts");
const LOCK = join(ROOM, ".building");
const LOCK_MS = 120_000;
/** Of what a failed build said, so much is repeated. */
const MOST_SAID = 2000;

const isCurrent = async (): Promise<boolean> => {
  const stamp = join(BUILT, "stamp");
  if (!existsSync(stamp)) return false;
  const { stampOf } = (await import(join(ROOM, "stamp.ts"))) as { stampOf: (room: string) => string };
  return readFileSync(stamp, "utf8") === stampOf(ROOM);
};

const build = (): Promise<void> =>
  new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", BUILD], {
      stdio: ["ignore", "ignore", "pipe"],
    });
    let said = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      said = (said + text).slice(-MOST_SAID);
    });
    const failed = (why: string): void => reject(new FerryError("FERRY_CONSOLE_BUILD", why));
    child.once("error", ({ message }) => failed(message));
    child.once("close", (status) => (status === 0 ? resolve() : failed(said.trim() || `status ${status}`)));
  });

/**
 * The page is built: in a package it always is; in a clone it is built when it is asked for, after its sources have changed.
 * @throws FERRY_CONSOLE_BUILD, FERRY_TIMEOUT
 */
export const ensureBuilt = async (): Promise<void> => {
  if (!existsSync(BUILD) || (await isCurrent())) return;
  await withLock(LOCK, LOCK_MS, async () => {
    if (!(await isCurrent())) await build(); // another process may have built it meanwhile
  });
};
