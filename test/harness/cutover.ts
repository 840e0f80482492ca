import { systemClock } from "#base/flow/clock.ts";
import { waitFor } from "#base/flow/retry.ts";
import type { MovingServices } from "../../bench/lib/movingServices.ts";
import { sharedMongo } from "./servers.ts";
import { type Switching, switching } from "./switching.ts";

/** As `switching`, on the servers of the test file. */
export const streaming = async (name: string, bootstrap?: string, connectUrl?: string): Promise<Switching> => {
  const [source, target] = await Promise.all([sharedMongo("source"), sharedMongo("target")]);
  return switching({ source: source.uri, target: target.uri, bootstrap, connectUrl }, name);
};

/** Waits until every client writes to a side. @throws FERRY_TIMEOUT */
export const moved = (services: MovingServices, side: "source" | "target" = "target"): Promise<void> =>
  waitFor(async () => (services.areOn(side) ? { done: undefined } : { seen: services.acked }), {
    what: `every client to write to the ${side}`,
    clock: systemClock,
    timeoutMs: 20_000,
    everyMs: 20,
  });
