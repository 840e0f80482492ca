import { randomInt } from "node:crypto";
import { closeSync, mkdirSync, openSync, rmSync, statSync, utimesSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { LOOPBACK } from "#base/config/listenAddress.ts";
import { FerryError } from "#base/errors/ferryError.ts";

/** Can a server listen there now? */
export const isPortFree = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const probe = createServer();
    probe.once("error", () => resolve(false));
    probe.listen({ port, host: LOOPBACK, exclusive: true }, () => probe.close(() => resolve(true)));
  });

/** By then a server listens, or will never, ms. */
const RESERVED_MS = 120_000;

/** Reservations of this process, released at its end. */
const reserved = new Set<string>();

/** Takes a port for this process alone: servers that start at the same time would otherwise find the same one free. */
const reserve = (port: number): boolean => {
  const folder = join(tmpdir(), "ferry-ports");
  const file = join(folder, String(port));
  try {
    mkdirSync(folder, { recursive: true });
    closeSync(openSync(file, "wx"));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") return true; // nothing can be written: it is left to chance
    const since = statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? Date.now();
    if (Date.now() - since < RESERVED_MS) return false;
    utimesSync(file, new Date(), new Date()); // of a process that was killed
  }
  if (reserved.size === 0)
    process.once("exit", () => {
      for (const known of reserved) rmSync(known, { force: true });
    });
  reserved.add(file);
  return true;
};

/**
 * Free loopback ports, none twice. They come from below the range that systems take outgoing ports from (32768 up on
 * Linux), so that no connection of some other program sits on one between this check and the server's start.
 */
export const freePorts = async (count: number, avoid: ReadonlySet<number> = new Set()): Promise<number[]> => {
  const found = new Set<number>();
  for (let tries = 0; found.size < count; tries++) {
    if (tries > 2000) throw new FerryError("FERRY_STACK_PORT", "no free port was found between 20000 and 32000");
    const port = randomInt(20_000, 32_000);
    if (!avoid.has(port) && !found.has(port) && reserve(port) && (await isPortFree(port))) found.add(port);
  }
  return [...found];
};

/** One free loopback port. */
export const freePort = async (): Promise<number> => {
  const [port] = await freePorts(1);
  return port as number;
};
