import assert from "node:assert/strict";
import type { Random } from "#tools/workload/people.ts";
import { startWorker, type WorkerProcess, type WorkerStart } from "./worker.ts";

/** Workers that are replaced as soon as they are killed. */
export class Crew implements AsyncDisposable {
  readonly #options: WorkerStart;
  readonly #workers: WorkerProcess[] = [];

  constructor(options: WorkerStart) {
    this.#options = options;
  }

  async hire(count: number): Promise<void> {
    const hired = await Promise.all(Array.from({ length: count }, () => startWorker(this.#options)));
    this.#workers.push(...hired);
  }

  /** `kill -9` of one; its replacement is started immediately and not waited for. */
  async killOne(random: Random): Promise<void> {
    const index = Math.floor(random() * this.#workers.length);
    const [victim] = this.#workers.splice(index, 1);
    assert.ok(victim);
    assert.ok(victim.isRunning(), `worker ended unexpectedly:\n${victim.logTail(20)}`);
    await victim.crash();
    await victim[Symbol.asyncDispose]();
    await this.hire(1);
  }

  check(): void {
    for (const worker of this.#workers) assert.ok(worker.isRunning(), worker.logTail(20));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker[Symbol.asyncDispose]()));
  }
}
