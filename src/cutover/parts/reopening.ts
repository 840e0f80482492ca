import type { Fence, Services } from "#cutover/machine/parts.ts";

/**
 * Services go back to a side that former cutovers have fenced: those fences are lifted before they are sent there, and go up again
 * where they were not.
 */
export class Reopening implements Services {
  readonly #fences: readonly Fence[];
  readonly #services: Services;

  constructor(fences: readonly Fence[], services: Services) {
    this.#fences = fences;
    this.#services = services;
  }

  trial(signal: AbortSignal): Promise<void> {
    return this.#services.trial(signal);
  }

  async release(leftMs: number, signal: AbortSignal): Promise<void> {
    for (const fence of this.#fences) await fence.lift();
    try {
      await this.#services.release(leftMs, signal);
    } catch (error) {
      for (const fence of this.#fences) await fence.raise(Math.max(1000, leftMs), new AbortController().signal);
      throw error;
    }
  }
}
