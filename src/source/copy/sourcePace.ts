import type { Clock } from "#base/flow/clock.ts";
import type { Throttle } from "#io/pace/throttle.ts";
import type { CopyPace } from "./copySource.ts";

/** What an operator allows a copy; 0: no limit. Left out: as the process was started. */
export type CopyLimits = Readonly<{
  /** Slow down while one small read of the source takes longer than this, ms. */
  maxSourceLoadMs?: number | undefined;
  /** Copy no more than this. */
  documentsPerSecond?: number | undefined;
}>;

/** One set of limits, until it is replaced: how much of the time the copy asks the source, and how often. */
export class SourcePace implements CopyPace {
  readonly changed: AbortSignal;
  readonly #throttle: Throttle | undefined;
  readonly #perSecond: number;
  readonly #clock: Pick<Clock, "now">;
  /** When what was copied so far is within the rate. */
  #free = 0;

  /** @param perSecond documents; 0: no limit. @param changed aborts when other limits hold: who rests looks again */
  constructor(
    { throttle, perSecond }: Readonly<{ throttle: Throttle | undefined; perSecond: number }>,
    { clock, changed }: Readonly<{ clock: Pick<Clock, "now">; changed: AbortSignal }>,
  ) {
    this.#throttle = throttle;
    this.#perSecond = perSecond;
    this.#clock = clock;
    this.changed = changed;
  }

  get state(): CopyPace["state"] {
    return this.#throttle?.state;
  }

  restAfter(ms: number, documents: number): number {
    const rest = this.#throttle?.restAfter(ms) ?? 0;
    if (this.#perSecond === 0) return rest;
    const now = this.#clock.now();
    this.#free = Math.max(this.#free, now) + (documents / this.#perSecond) * 1000;
    return Math.max(rest, this.#free - now);
  }
}
