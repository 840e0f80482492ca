import { Trend } from "#base/flow/trend.ts";
import type { CaptureLine } from "#process/report/status.ts";

/** How fast a copy is, and when it will have ended if it stays so; null where that is not known. */
export type RateOfCopy = Readonly<{ perSecond: number | null; etaMs: number | null }>;

const UNKNOWN: RateOfCopy = { perSecond: null, etaMs: null };

/** Clients ask at any time, and long apart. */
const PACE = { windowMs: 60_000, leastMs: 2000, apartMs: 0 };

/** The pace of a copy, from what is seen of it whenever a client asks. */
export class CopyRate {
  #generation: number | undefined;
  #trend = new Trend(PACE);

  /** @param own ferry's own capture as it is at this time, ms since the epoch */
  note(own: Pick<CaptureLine, "phase" | "copied" | "generation" | "estimate"> | null, at: number): RateOfCopy {
    if (own === null || own.phase !== "copy") {
      this.#generation = undefined;
      return UNKNOWN;
    }
    const { copied, generation, estimate } = own;
    if (generation !== this.#generation) [this.#generation, this.#trend] = [generation, new Trend(PACE)];
    const perSecond = this.#trend.note(copied, at);
    if (perSecond === undefined) return UNKNOWN;
    const left = estimate === null ? undefined : Math.max(0, estimate - copied);
    return { perSecond, etaMs: left === undefined || perSecond === 0 ? null : (left / perSecond) * 1000 };
  }
}
