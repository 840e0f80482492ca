import type { Trouble, Unrestored } from "#source/capture/captureLifecycle.ts";
import { secondsOf } from "#source/stream/resumeToken.ts";
import { STATES, TABLE } from "./cutoverTable.ts";
import type { CutoverRecord, State } from "./record.ts";

/** How long services could write on neither side, ms, and which step took how much of it. */
export type Pause = Readonly<{ ms: number; parts: Readonly<Partial<Record<State, number>>> }>;

export const pauseOf = ({ laps }: Pick<CutoverRecord, "laps">): Pause => {
  const parts = Object.fromEntries(
    STATES.filter((state) => TABLE[state].paused && laps[state] !== undefined).map((state) => [
      state,
      laps[state] ?? 0,
    ]),
  );
  return { ms: Object.values(parts).reduce((sum, ms) => sum + ms, 0), parts };
};

/** `412 ms: fencing 22 ms, draining 310 ms, …` */
export const pauseText = ({ ms, parts }: Pause): string =>
  `${Math.round(ms)} ms: ${Object.entries(parts)
    .map(([state, lap]) => `${state} ${Math.round(lap)} ms`)
    .join(", ")}`;

/** A cutover as JSON tells it. */
export type CutoverFacts = Readonly<
  Pick<CutoverRecord, "state" | "fence" | "namespaces" | "entered"> & {
    cutover: number;
    pause: Pause;
    /** Source time, by the second. */
    fencedAt: Date | null;
    /** Why it went back. */
    refused: Trouble | null;
    unrestored: readonly Unrestored[];
  }
>;

export const cutoverFacts = (record: CutoverRecord): CutoverFacts => {
  const { _id, state, fence, namespaces, fencedAt, refused, unrestored, entered } = record;
  return {
    cutover: _id,
    ...{ state, fence, namespaces },
    pause: pauseOf(record),
    fencedAt: fencedAt === undefined ? null : new Date(secondsOf(fencedAt.toBigInt()) * 1000),
    refused: refused ?? null,
    unrestored: unrestored ?? [],
    entered,
  };
};
