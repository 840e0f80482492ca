import { count, wholeDuration } from "#base/flow/figures.ts";
import type { PassResult } from "#proof/verify/verification.ts";
import { fact } from "./facts.ts";
import { Phases } from "./phase.ts";
import type { Picture } from "./picture.ts";

/** What `ferry verify` shows while it compares. */
export class VerifyPicture {
  readonly #phases = new Phases();
  readonly #begunAt: number;
  #total: number | undefined;
  #done = 0;
  #route = "";
  #said = "";
  #routes = 0;
  #wrong = 0;
  #behind = 0;

  /** @param at ms */
  constructor(at: number) {
    this.#begunAt = at;
  }

  readonly estimate = (documents: number): void => {
    this.#total = documents;
  };

  readonly compared = (route: string, documents: number): void => {
    this.#route = route;
    this.#done += documents;
  };

  readonly result = ({ wrong, behind }: PassResult): void => {
    this.#routes++;
    this.#wrong += wrong;
    this.#behind += behind;
  };

  /** How far is verified, in a sentence. */
  readonly say = (sentence: string): void => {
    this.#said = sentence;
  };

  /** @param at ms */
  readonly at = (at: number): Picture => {
    const total = this.#total !== undefined && this.#total > 0 ? this.#total : undefined;
    const note = this.#route === "" ? undefined : this.#route;
    if (this.#route !== "") this.#phases.tell("compare", { done: this.#done, total, noun: "documents", note }, at);
    const found = [
      ...(this.#wrong > 0 ? [fact(`${count(this.#wrong)} wrong`, "bad")] : []),
      ...(this.#behind > 0 ? [fact(`${count(this.#behind)} behind`, "warn")] : []),
      ...(this.#said === "" ? [] : [fact(this.#said)]),
    ];
    const done = this.#routes === 0 ? [] : [fact(`${count(this.#routes, "collection")} compared`)];
    const facts = [...done, ...found];
    return {
      title: "ferry verify",
      facts: [fact(wholeDuration(at - this.#begunAt), "quiet")],
      phases: this.#phases.all,
      parts: facts.length === 0 ? [] : [{ name: "so far", facts }],
      needs: [],
      columns: [],
    };
  };
}
