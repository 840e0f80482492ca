import type { Clock } from "#base/flow/clock.ts";

type Timer = Readonly<{ at: number; fire: () => void }>;

/** Runs everything that waits for nothing but promises. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Time that stands still until a test lets it pass. */
export class FakeClock implements Clock {
  #now = 1_700_000_000_000;
  readonly #timers = new Set<Timer>();

  now(): number {
    return this.#now;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) return reject(signal.reason);
      const done = (): void => {
        this.#timers.delete(timer);
        signal?.removeEventListener("abort", onAbort);
      };
      const onAbort = (): void => {
        done();
        reject(signal?.reason);
      };
      const timer: Timer = {
        at: this.#now + ms,
        fire: () => {
          done();
          resolve();
        },
      };
      this.#timers.add(timer);
      signal?.addEventListener("abort", onAbort, { once: true });
    });
  }

  /** Lets so much time pass, ms: what sleeps wakes in its order, and does all that it can at its time. */
  async pass(ms: number): Promise<void> {
    const until = this.#now + ms;
    for (;;) {
      await settle();
      let next = Number.POSITIVE_INFINITY;
      for (const { at } of this.#timers) if (at < next) next = at;
      if (next > until) break;
      this.#now = next;
      for (const timer of [...this.#timers]) if (timer.at <= next) timer.fire();
    }
    this.#now = until;
  }
}
