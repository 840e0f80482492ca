import { wholeDuration } from "#base/flow/figures.ts";
import type { StructureEvent } from "#structure/build/build.ts";
import { fact } from "./facts.ts";
import { Phases } from "./phase.ts";
import type { Picture } from "./picture.ts";

/** What `ferry structure build` shows while it builds: steps of its plan, and how far the server is with an index. */
export class StructurePicture {
  readonly #phases = new Phases();
  readonly #begunAt: number;
  #event: StructureEvent | undefined;

  /** @param at ms */
  constructor(at: number) {
    this.#begunAt = at;
  }

  readonly tell = (event: StructureEvent): void => {
    this.#event = event;
  };

  /** @param at ms */
  readonly at = (at: number): Picture => {
    const { ns = "", does = "", state, step, progress } = this.#event ?? {};
    const isOver = state === "done" || state === "failed";
    if (step !== undefined)
      this.#phases.tell("build", { done: isOver ? step.at : step.at - 1, total: step.of, noun: "steps" }, at);
    if (progress === undefined) this.#phases.forget("index");
    else this.#phases.tell("index", { ...progress, noun: "documents", note: progress.phase }, at);
    return {
      title: "ferry structure",
      facts: [fact(wholeDuration(at - this.#begunAt), "quiet")],
      phases: this.#phases.all,
      parts: this.#event === undefined || isOver ? [] : [{ name: "now", facts: [fact(`${ns}  ${does}`)] }],
      needs: [],
      columns: [],
    };
  };
}
