import type { Clock } from "#base/flow/clock.ts";

/** What a worker did since it was last asked, as rates. */
export class Meter {
  readonly #clock: Clock;
  #records = 0;
  #bytes = 0;
  #since: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#since = clock.now();
  }

  readonly applied = (records: number, bytes: number): void => {
    this.#records += records;
    this.#bytes += bytes;
  };

  read(): { appliedPerSecond: number; bytesPerSecond: number } {
    const now = this.#clock.now();
    const seconds = Math.max(0.001, (now - this.#since) / 1000);
    const rates = {
      appliedPerSecond: Math.round(this.#records / seconds),
      bytesPerSecond: Math.round(this.#bytes / seconds),
    };
    this.#since = now;
    this.#records = 0;
    this.#bytes = 0;
    return rates;
  }
}
