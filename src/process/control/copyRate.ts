import type { CaptureLine } from "#process/report/status.ts";

/** How fast a copy is, and when it will have ended if it stays so; null where that is not known. */
export type RateOfCopy = Readonly<{ perSecond: number | null; etaMs: number | null }>;

const UNKNOWN: RateOfCopy = { perSecond: null, etaMs: null };

/** The pace is that of this time, ms; less than the other is too short to tell. */
const WINDOW_MS = 60_000;
const LEAST_MS = 2000;

type Progress = Readonly<{ at: number; copied: number; generation: number }>;

/** The pace of a copy, from what is seen of it whenever a client asks. */
export class CopyRate {
  #samples: readonly Progress[] = [];

  /** @param own ferry's own capture as it is at this time, ms since the epoch */
  note(own: Pick<CaptureLine, "phase" | "copied" | "generation" | "estimate"> | null, at: number): RateOfCopy {
    if (own === null || own.phase !== "copy") {
      this.#samples = [];
      return UNKNOWN;
    }
    const { copied, generation, estimate } = own;
    const isSame = (sample: Progress): boolean => sample.generation === generation && sample.copied <= copied;
    this.#samples = [
      ...this.#samples.filter((sample) => isSame(sample) && at - sample.at <= WINDOW_MS),
      { at, copied, generation },
    ];
    const [first] = this.#samples;
    if (first === undefined || at - first.at < LEAST_MS) return UNKNOWN;
    const perSecond = ((copied - first.copied) / (at - first.at)) * 1000;
    const left = estimate === null ? undefined : Math.max(0, estimate - copied);
    return { perSecond, etaMs: left === undefined || perSecond === 0 ? null : (left / perSecond) * 1000 };
  }
}
