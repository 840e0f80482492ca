import type { Clock } from "#base/flow/clock.ts";

/**
 * One reading for all who ask within a while: however many ask, servers are asked once. Nothing is read where no client asks.
 */
export class SharedReading<T> {
  readonly #read: () => Promise<T>;
  readonly #clock: Pick<Clock, "now">;
  readonly #freshMs: number;
  #last: Readonly<{ at: number; value: Promise<T> }> | undefined;

  /** @param freshMs how old a reading may be */
  constructor(read: () => Promise<T>, { clock, freshMs }: Readonly<{ clock: Pick<Clock, "now">; freshMs: number }>) {
    this.#read = read;
    this.#clock = clock;
    this.#freshMs = freshMs;
  }

  /** A fresh one, or the one that is under way. @throws what reading throws; the next one reads again */
  current(): Promise<T> {
    const now = this.#clock.now();
    if (this.#last !== undefined && now - this.#last.at < this.#freshMs) return this.#last.value;
    const value = this.#read().finally(() => {
      if (this.#last?.value === value) this.#last = { at: this.#clock.now(), value };
    });
    this.#last = { at: Number.POSITIVE_INFINITY, value }; // under way: as fresh as can be
    value.catch(() => {
      if (this.#last?.value === value) this.#last = undefined;
    });
    return value;
  }
}
