import { useCallback, useEffect, useRef, useState } from "react";
import { ask } from "./ask.ts";
import type { Answer, Asked, Question } from "./operations.ts";
import { type Problem, problemFrom } from "./problem.ts";

/** What was last answered, and what the last try ended with: an answer stays while newer ones fail. */
export type Looked<T> = Readonly<{ answer: T | undefined; problem: Problem | undefined; again: () => void }>;

/** `key`: of what it is the answer. */
type State<N extends Asked> = Readonly<{ key: string; answer?: Answer<N>; problem?: Problem }>;

const EVERY_MS = 2000;
/** A page that is not seen asks for nothing. */
const isSeen = (): boolean => document.visibilityState === "visible";

/** Asks again and again while it is shown, the next time after the last answer; never two at once. @param everyMs 0: once @param keeps an answer stays until there is one to another question, so that a list does not jump */
export const useAsked = <N extends Asked>(
  name: N,
  question: Question<N> = {},
  everyMs = EVERY_MS,
  keeps = false,
): Looked<Answer<N>> => {
  const [state, setState] = useState<State<N>>({ key: "" });
  const key = JSON.stringify([name, question]);
  const [turn, setTurn] = useState(0);
  const asked = useRef(question);
  asked.current = question;

  // biome-ignore lint/correctness/useExhaustiveDependencies: key stands for name and question, turn for a wish to look again
  useEffect(() => {
    const ending = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const look = async (): Promise<void> => {
      if (isSeen() || turn > 0) {
        const next = await ask(name, asked.current, ending.signal).then(
          (answer) => () => ({ key, answer }),
          (error: unknown) => (last: State<N>) => ({
            ...(last.key === key ? last : {}),
            key,
            problem: problemFrom(error),
          }),
        );
        if (ending.signal.aborted) return;
        setState(next);
      }
      if (everyMs > 0) timer = setTimeout(() => void look(), everyMs);
    };
    void look();
    return () => {
      ending.abort();
      clearTimeout(timer);
    };
  }, [key, everyMs, turn]);

  const again = useCallback(() => setTurn((n) => n + 1), []);
  const isOwn = state.key === key;
  return { answer: isOwn || keeps ? state.answer : undefined, problem: isOwn ? state.problem : undefined, again };
};
