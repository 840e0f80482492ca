import { randomInt } from "node:crypto";
import { createServer } from "node:net";
import { FerryError } from "#base/errors/ferryError.ts";

export const LOOPBACK = "127.0.0.1";

/** Can a server listen there now? */
export const isPortFree = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const probe = createServer();
    probe.once("error", () => resolve(false));
    probe.listen({ port, host: LOOPBACK, exclusive: true }, () => probe.close(() => resolve(true)));
  });

/**
 * Free loopback ports, none twice. They come from below the range that systems take outgoing ports from (32768 up on
 * Linux), so that no connection of some other program sits on one between this check and the server's start.
 */
export const freePorts = async (count: number, avoid: ReadonlySet<number> = new Set()): Promise<number[]> => {
  const found = new Set<number>();
  for (let tries = 0; found.size < count; tries++) {
    if (tries > 2000) throw new FerryError("FERRY_STACK_PORT", "no free port was found between 20000 and 32000");
    const port = randomInt(20_000, 32_000);
    if (!avoid.has(port) && !found.has(port) && (await isPortFree(port))) found.add(port);
  }
  return [...found];
};

/** One free loopback port. */
export const freePort = async (): Promise<number> => {
  const [port] = await freePorts(1);
  return port as number;
};
