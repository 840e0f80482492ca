import { Worker as Thread } from "node:worker_threads";
import type { Clock } from "#base/flow/clock.ts";
import { Throttle } from "./throttle.ts";

/** A throttle fed by a probe, a thread that posts how long each answer took, until it is disposed of. */
export class Pace implements AsyncDisposable {
  readonly throttle: Throttle;
  readonly #probe: Thread;

  /** @param heard called after each answer */
  constructor(limitMs: number, probe: URL, data: object, clock: Clock, heard?: () => void) {
    this.throttle = new Throttle(limitMs, clock);
    this.#probe = new Thread(probe, { workerData: data });
    this.#probe.on("message", (ms: number) => {
      this.throttle.answered(ms);
      heard?.();
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#probe.terminate();
  }
}

// Resolved as an import is, so that the compiled package finds its own files.
/** The target's: a small majority write. */
export const TARGET_PROBE = new URL(import.meta.resolve("#io/pace/latencyProbe.ts"));
/** The source's: a small read. */
export const SOURCE_PROBE = new URL(import.meta.resolve("#io/pace/readProbe.ts"));
