export type TrendOptions = Readonly<{
  /** The pace is that of so long a time, ms. */
  windowMs: number;
  /** Less than this is too short to tell, ms. */
  leastMs: number;
  /** Samples closer together than this tell nothing more, ms. */
  apartMs: number;
}>;

type Point = Readonly<{ at: number; n: number }>;

/** How fast a number grows, lately. One that falls begins again. */
export class Trend {
  readonly #options: TrendOptions;
  #samples: readonly Point[] = [];
  #first: Point | undefined;

  constructor(options: TrendOptions) {
    this.#options = options;
  }

  /** @param at ms @returns a second's worth; undefined where too little was seen */
  note(n: number, at: number): number | undefined {
    const { windowMs, apartMs } = this.#options;
    const last = this.#samples.at(-1);
    if (last !== undefined && n < last.n) [this.#samples, this.#first] = [[], undefined];
    this.#first ??= { at, n };
    const kept = this.#samples.filter((sample) => at - sample.at <= windowMs);
    const isApart = last === undefined || at - last.at >= apartMs;
    this.#samples = isApart ? [...kept, { at, n }] : kept;
    return this.#between(this.#samples[0], { at, n });
  }

  /** The pace from the first sample to this one: of what is over. */
  overall(n: number, at: number): number | undefined {
    return this.#between(this.#first, { at, n });
  }

  #between(first: Point | undefined, { at, n }: Point): number | undefined {
    const isTooShort = first === undefined || at - first.at < this.#options.leastMs;
    return isTooShort ? undefined : ((n - first.n) / (at - first.at)) * 1000;
  }
}
