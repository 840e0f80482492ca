import assert from "node:assert/strict";
import { systemClock } from "#base/flow/clock.ts";
import { waitFor } from "#base/flow/retry.ts";
import type { FerryProcess } from "../harness/worker.ts";
import type { Kill } from "./plan.ts";

/** One that does not come to its point is killed wherever it is after this long, ms. */
const PATIENCE_MS = 10_000;

export const faultOf = ({ point, nth }: Kill): Readonly<Record<string, string>> => ({ FERRY_FAULT: `${point}:${nth}` });

/** Waits until the process is killed at its point. False where it never came there, and was killed elsewhere. */
export const reaches = async (process: FerryProcess): Promise<boolean> => {
  await waitFor(async () => (process.isRunning() ? { seen: "running" } : { done: undefined }), {
    what: "the kill",
    clock: systemClock,
    timeoutMs: PATIENCE_MS,
    everyMs: 20,
  }).catch(() => process.crash());
  const reached = process.log().includes("fault point");
  if (!reached) assert.equal((await process.exited).signal, "SIGKILL", process.logTail(30));
  return reached;
};

/** The outcome of the kills of a seed. */
export class Tally {
  readonly reached: Kill[] = [];
  readonly missed: Kill[] = [];

  add(kill: Kill, reached: boolean): void {
    (reached ? this.reached : this.missed).push(kill);
  }
}
