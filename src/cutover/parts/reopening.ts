import type { Fence, Services } from "#cutover/machine/parts.ts";

/**
 * Services go back to a side that a former cutover has fenced: that fence is lifted before they are sent there, and goes up again
 * where they were not.
 */
export class Reopening implements Services {
  readonly #fence: Fence;
  readonly #services: Services;

  constructor(fence: Fence, services: Services) {
    this.#fence = fence;
    this.#services = services;
  }

  async release(leftMs: number, signal: AbortSignal): Promise<void> {
    await this.#fence.lift();
    try {
      await this.#services.release(leftMs, signal);
    } catch (error) {
      await this.#fence.raise(Math.max(1000, leftMs), new AbortController().signal);
      throw error;
    }
  }
}
