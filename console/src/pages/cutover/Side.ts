import type { Answer } from "../../data/operations.ts";

/** The way there and the way back have the same shapes, and operations of the same kind. */
export const SIDES = {
  cutover: {
    word: "Switch over",
    about:
      "Services are sent to the target. They wait while the last changes arrive, and go on where the pause would be too long.",
    asks: {
      newest: "getCutover",
      ready: "getReadiness",
      rehearse: "rehearseCutover",
      start: "startCutover",
      abort: "abortCutover",
    },
  },
  rollback: {
    word: "Send services back",
    about:
      "Services are sent back to the source, with what they have written on the target, which `ferry run --reverse` carries there.",
    asks: {
      newest: "getRollback",
      ready: "getRollbackReadiness",
      rehearse: "rehearseRollback",
      start: "startRollback",
      abort: "abortRollback",
    },
  },
} as const;

export type Side = keyof typeof SIDES;
export type Switch = Answer<"getCutover">;
export type Newest = NonNullable<Switch["cutover"]>;

/** States in which nothing is under way. */
const RESTING: readonly string[] = ["over", "aborted"];

export const isUnderway = (found: Switch): boolean =>
  found.job?.endedAt === null || (found.cutover !== null && !RESTING.includes(found.cutover.state));
