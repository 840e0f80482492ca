import { Worker as Thread } from "node:worker_threads";
import type { Clock } from "#flow/clock.ts";
import type { ProbeData } from "./latencyProbe.ts";
import { Throttle } from "./throttle.ts";

/** The throttle of one worker, fed by a probe of the target until it is disposed of. */
export class TargetPace implements AsyncDisposable {
  readonly throttle: Throttle;
  readonly #probe: Thread;

  constructor(limitMs: number, data: ProbeData, clock: Clock) {
    this.throttle = new Throttle(limitMs, clock);
    this.#probe = new Thread(new URL("./latencyProbe.ts", import.meta.url), { workerData: data });
    this.#probe.on("message", (ms: number) => this.throttle.answered(ms));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#probe.terminate();
  }
}
