import { Worker as Thread } from "node:worker_threads";
import { fileOf } from "#base/config/textFile.ts";
import type { Clock } from "#base/flow/clock.ts";
import { Throttle } from "./throttle.ts";

/** What the thread of a probe knows of its server. */
export type Probed = Readonly<{
  uri: string;
  /** The file that the URI is from. */
  file: string | undefined;
}>;

/** A throttle fed by a probe, a thread that posts how long each answer took, until it is disposed of. */
export class Pace implements AsyncDisposable {
  readonly throttle: Throttle;
  readonly #probe: Thread;

  /** @param data for the thread, with the URI of the server that it asks @param heard called after each answer */
  constructor(limitMs: number, probe: URL, data: Readonly<{ uri: string }>, clock: Clock, heard?: () => void) {
    this.throttle = new Throttle(limitMs, clock);
    this.#probe = new Thread(probe, { workerData: { ...data, file: fileOf(data.uri) } satisfies Probed });
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
