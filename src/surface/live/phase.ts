import { Trend } from "#base/flow/trend.ts";

/** A screen is drawn ten times a second: most drawings are no sample of their own. */
const PACE = { windowMs: 15_000, leastMs: 1500, apartMs: 400 };

/** One part of the work, as a bar shows it. */
export type Phase = Readonly<{
  name: string;
  /** What is done, of `total`, in `noun`s; a total that is not known, or only estimated and passed, is undefined. */
  done: number;
  total: number | undefined;
  noun: string;
  perSecond: number | undefined;
  etaMs: number | undefined;
  isOver: boolean;
  /** What else there is to say of it, short. */
  note: string | undefined;
}>;

/** What is known of a phase at some time; the rest is measured. */
export type PhaseFacts = Readonly<{
  done: number;
  total?: number | undefined;
  noun: string;
  isOver?: boolean;
  note?: string | undefined;
}>;

/** The phases of one command's work, with the pace of each, in the order in which they were first told of. */
export class Phases {
  readonly #trends = new Map<string, Trend>();
  readonly #phases = new Map<string, Phase>();

  /** @param at ms */
  tell(name: string, facts: PhaseFacts, at: number): void {
    const { done, total, noun, isOver = false, note } = facts;
    const known = this.#phases.get(name);
    if (isOver && known?.isOver === true && known.done === done) return; // its pace is that of its own time
    const trend = this.#trends.get(name) ?? new Trend(PACE);
    this.#trends.set(name, trend);
    const perSecond = isOver ? trend.overall(done, at) : trend.note(done, at);
    const left = total === undefined ? undefined : total - done;
    const isKnown = left !== undefined && left >= 0 && perSecond !== undefined && perSecond > 0;
    this.#phases.set(name, {
      ...{ name, done, total, noun, perSecond, isOver, note },
      etaMs: isKnown && !isOver ? (left / perSecond) * 1000 : undefined,
    });
  }

  forget(name: string): void {
    this.#trends.delete(name);
    this.#phases.delete(name);
  }

  get all(): readonly Phase[] {
    return [...this.#phases.values()];
  }
}
