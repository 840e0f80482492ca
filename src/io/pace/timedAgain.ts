import { parentPort, workerData } from "node:worker_threads";
import { noteFile } from "#base/config/textFile.ts";
import { systemClock } from "#base/flow/clock.ts";
import { every } from "#base/flow/every.ts";
import type { Probed } from "./pace.ts";

const EVERY_MS = 20;

/** What the thread of a probe was told; its server's URI is known to be from its file. */
export const told = <T>(): T & Probed => {
  const data = workerData as T & Probed;
  if (data.file !== undefined) noteFile(data.uri, data.file);
  return data;
};

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
