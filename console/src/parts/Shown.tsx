import type { ReactNode } from "react";
import type { Problem } from "../data/problem.ts";
import type { Looked } from "../data/useAsked.ts";
import { Note, Sentences } from "./Note.tsx";
import { Waiting } from "./Waiting.tsx";

/** Why something was not done or is not shown. */
export const ProblemNote = ({ problem }: Readonly<{ problem: Problem }>) => (
  <div role="alert">
    <Note
      kind={problem.status === 403 ? "warn" : "bad"}
      text={problem.status === 403 ? "Your token's role may not see this." : problem.message}
      more={problem.hint}
    />
  </div>
);

/** What was asked for: while it is awaited, when it has failed, and when it is there. What was there stays while newer answers fail. */
export const Shown = <T,>({
  looked: { answer, problem },
  what,
  children,
}: Readonly<{ looked: Looked<T>; what: string; children: (answer: T) => ReactNode }>) => (
  <>
    {problem !== undefined && <ProblemNote problem={problem} />}
    {answer === undefined ? problem === undefined && <Waiting what={what} /> : children(answer)}
  </>
);

/** The same for a list, and what is shown where it has nothing. */
export const ShownList = <T,>({
  looked,
  what,
  empty,
  children,
}: Readonly<{
  looked: Looked<readonly T[]>;
  what: string;
  empty: ReactNode;
  children: (all: readonly T[]) => ReactNode;
}>) => (
  <Shown looked={looked} what={what}>
    {(all) => (all.length === 0 ? empty : children(all))}
  </Shown>
);

/** Nothing is there, and that is how it should be, or what to do about it. */
export const Empty = ({ text, more = "" }: Readonly<{ text: string; more?: string }>) => (
  <div className="empty">
    <Sentences text={text} more={more} />
  </div>
);
