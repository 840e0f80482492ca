import type { MongoClient } from "mongodb";
import { systemClock } from "#flow/clock.ts";

const EVERY_MS = 200;

/** A source at rest shows within ten seconds by itself that its time goes on; until the disposal it does so at once. */
export const restless = (client: MongoClient): AsyncDisposable => {
  const ending = new AbortController();
  const running = (async () => {
    while (!ending.signal.aborted) {
      await client.db("admin").command({ appendOplogNote: 1, data: { note: "time goes on" } });
      await systemClock.sleep(EVERY_MS, ending.signal).catch(() => undefined); // woken by the end
    }
  })();
  running.catch(() => undefined); // reported by the disposal
  return {
    [Symbol.asyncDispose]: () => {
      ending.abort();
      return running;
    },
  };
};
