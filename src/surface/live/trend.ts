/** The pace is that of this time, ms; less than the other is too short to tell. */
const WINDOW_MS = 15_000;
const LEAST_MS = 1500;
/** Samples closer together than this tell nothing more, ms. */
const APART_MS = 400;

type Point = Readonly<{ at: number; n: number }>;

/** How fast a number grows, lately. One that falls begins again. */
export class Trend {
  #samples: readonly Point[] = [];
  #first: Point | undefined;

  /** @param at ms @returns a second's worth; undefined where too little was seen */
  note(n: number, at: number): number | undefined {
    const last = this.#samples.at(-1);
    if (last !== undefined && n < last.n) [this.#samples, this.#first] = [[], undefined];
    this.#first ??= { at, n };
    const kept = this.#samples.filter((sample) => at - sample.at <= WINDOW_MS);
    const isApart = last === undefined || at - last.at >= APART_MS;
    this.#samples = isApart ? [...kept, { at, n }] : kept;
    return between(this.#samples[0], { at, n });
  }

  /** The pace from the first sample to this one: of what is over. */
  overall(n: number, at: number): number | undefined {
    return between(this.#first, { at, n });
  }
}

const between = (first: Point | undefined, { at, n }: Point): number | undefined =>
  first === undefined || at - first.at < LEAST_MS ? undefined : ((n - first.n) / (at - first.at)) * 1000;
