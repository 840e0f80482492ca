import { useState } from "react";
import { ask } from "./ask.ts";
import type { Answer, Asked, Question } from "./operations.ts";
import { type Problem, problemFrom } from "./problem.ts";

/** A change that is asked for by a button: one at a time, and what became of the last one. */
export type Act<N extends Asked> = Readonly<{
  isBusy: boolean;
  done: Answer<N> | undefined;
  problem: Problem | undefined;
  /** Undefined where it was refused. */
  run: (question: Question<N>) => Promise<Answer<N> | undefined>;
  forget: () => void;
}>;

type State<N extends Asked> = Readonly<{ isBusy: boolean; done?: Answer<N>; problem?: Problem }>;

export const useAct = <N extends Asked>(name: N): Act<N> => {
  const [{ isBusy, done, problem }, setState] = useState<State<N>>({ isBusy: false });
  const run = async (question: Question<N>): Promise<Answer<N> | undefined> => {
    setState({ isBusy: true });
    try {
      const answer = await ask(name, question);
      setState({ isBusy: false, done: answer });
      return answer;
    } catch (error) {
      setState({ isBusy: false, problem: problemFrom(error) });
      return undefined;
    }
  };
  return { isBusy, done, problem, run, forget: () => setState({ isBusy: false }) };
};
