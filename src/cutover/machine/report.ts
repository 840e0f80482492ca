import { FerryError } from "#base/errors/ferryError.ts";
import type { Trouble, Unrestored } from "#source/capture/captureLifecycle.ts";
import { secondsOf } from "#source/stream/resumeToken.ts";
import { STATES, TABLE } from "./cutoverTable.ts";
import type { CutoverRecord, State } from "./record.ts";

/** How long services could write on neither side, ms, and which step took how much of it. */
export type Pause = Readonly<{ ms: number; parts: Readonly<Partial<Record<State | "interrupted", number>>> }>;

/** Clocks of two processes differ by less, ms. */
const UNMEASURED_MS = 250;

/** What no process measured, because the one that drove it ended, is a part of its own. */
export const pauseOf = ({ laps, entered }: Pick<CutoverRecord, "laps" | "entered">): Pause => {
  const parts: Record<string, number> = Object.fromEntries(
    STATES.filter((state) => TABLE[state].paused && laps[state] !== undefined).map((state) => [
      state,
      laps[state] ?? 0,
    ]),
  );
  const measured = Object.values(parts).reduce((sum, ms) => sum + ms, 0);
  const noted = (entered.ending?.getTime() ?? 0) - (entered.fencing?.getTime() ?? 0);
  if (entered.fencing === undefined || noted - measured < UNMEASURED_MS) return { ms: measured, parts };
  return { ms: noted, parts: { ...parts, interrupted: noted - measured } };
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

/** @param name `cutover` or `rollback`. @throws why it went back */
export const requireOver = ({ _id, state, refused }: CutoverRecord, name: string): void => {
  if (state === "aborted" && refused !== undefined)
    throw new FerryError(refused.code, `${name} ${_id} went back: ${refused.detail}`);
};
