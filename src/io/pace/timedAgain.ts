import { parentPort } from "node:worker_threads";
import { systemClock } from "#base/flow/clock.ts";
import { every } from "#base/flow/every.ts";

const EVERY_MS = 20;

/**
 * For the thread of a probe, as long as it lives: asks again and again, and tells its owner how long each answer took, ms. A server
 * that is away is no slow one: those who work with it notice it themselves.
 */
export const timedAgain = (ask: () => Promise<unknown>): Promise<void> =>
  every(EVERY_MS, { clock: systemClock, ended: new AbortController().signal, first: "now" }, async () => {
    const startedAt = performance.now();
    await ask().then(
      () => parentPort?.postMessage(performance.now() - startedAt),
      () => undefined,
    );
  });
