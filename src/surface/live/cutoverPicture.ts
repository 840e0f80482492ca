import { wholeDuration } from "#base/flow/figures.ts";
import { TABLE } from "#cutover/machine/cutoverTable.ts";
import type { CutoverRecord, State } from "#cutover/machine/record.ts";
import { fact } from "./facts.ts";
import type { Picture } from "./picture.ts";

/** What `ferry cutover` shows while it switches over: its step, and how much of the longest pause is over. */
export class CutoverPicture {
  readonly #title: string;
  readonly #begunAt: number;
  #record: Pick<CutoverRecord, "state" | "laps" | "maxPauseMs"> | undefined;
  /** When this process saw that services wait, ms. */
  #pausedAt: number | undefined;
  #pausedMs = 0;

  /** @param at ms */
  constructor(title: string, at: number) {
    this.#title = title;
    this.#begunAt = at;
  }

  /** @param at ms */
  readonly tell = (record: Pick<CutoverRecord, "state" | "laps" | "maxPauseMs">, at: number): void => {
    this.#record = record;
    if (TABLE[record.state].paused) this.#pausedAt ??= at;
    else if (this.#pausedAt !== undefined) {
      this.#pausedMs = at - this.#pausedAt;
      this.#pausedAt = undefined;
    }
  };

  /** @param at ms */
  readonly at = (at: number): Picture => {
    const { state, laps = {}, maxPauseMs = 0 } = this.#record ?? {};
    const done = this.#pausedAt === undefined ? this.#pausedMs : at - this.#pausedAt;
    const paused = {
      name: "pause",
      done,
      total: maxPauseMs,
      noun: "ms at most",
      perSecond: undefined,
      etaMs: undefined,
    };
    const steps = Object.entries(laps) as [State, number][];
    return {
      title: this.#title,
      facts: [fact(state ?? "starting", "good"), fact(wholeDuration(at - this.#begunAt), "quiet")],
      phases: done === 0 ? [] : [{ ...paused, isOver: false, note: undefined }],
      parts:
        steps.length === 0
          ? []
          : [{ name: "steps", facts: steps.map(([name, ms]) => fact(`${name} ${Math.round(ms)} ms`)) }],
      needs: [],
      columns: [],
    };
  };
}
