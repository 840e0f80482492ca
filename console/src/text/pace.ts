type Noted = Readonly<{ at: number; counts: ReadonlyMap<string, number> }>;

/** How far back a pace is measured, ms: ranges are noted in steps, which a shorter time would show as rests. */
const REACH_MS = 20_000;

/** How fast counts grow, from when they were last seen. */
export class Pace {
  #noted: readonly Noted[] = [];

  note(at: number, counts: ReadonlyMap<string, number>): void {
    const last = this.#noted.at(-1);
    if (last !== undefined && at - last.at < 500) return; // a page is drawn more often than it is told something
    this.#noted = [...this.#noted.filter((one) => one.at >= at - REACH_MS), { at, counts }];
  }

  /** Undefined while it was seen but once. */
  perSecond(name: string): number | undefined {
    const [first, last] = [this.#noted[0], this.#noted.at(-1)];
    const [from, to] = [first?.counts.get(name), last?.counts.get(name)];
    if (first === undefined || last === undefined || from === undefined || to === undefined || last.at === first.at)
      return undefined;
    return (Math.max(0, to - from) / (last.at - first.at)) * 1000;
  }
}
