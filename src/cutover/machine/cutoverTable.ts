import { Timestamp } from "bson";
import { FerryError } from "#base/errors/ferryError.ts";
import type { Parts, SourceTime } from "./parts.ts";
import { firstOf } from "./readiness.ts";
import type { CutoverRecord, Found, State } from "./record.ts";

/** What a step is given. */
export type Doing = Readonly<{
  parts: Parts;
  record: CutoverRecord;
  /** Of the pause; without end outside of it. */
  leftMs: number;
  /** Resolves when servers have decided on what a process that is gone asked of them; true where it asked. */
  decided: () => Promise<boolean>;
  signal: AbortSignal;
}>;

export type CutoverStep = Readonly<{
  /** Services can write on neither side, at most for `maxPauseMs`. */
  paused: boolean;
  /** Its act changes what the next owner of the cutover would have to undo: a process that was frozen checks that it still owns it first. */
  exclusive: boolean;
  /** What is done in this state. It is done again from its beginning after a kill. */
  act: (doing: Doing) => Promise<Found | undefined>;
  /** What must hold before the next state is entered. @returns the first thing that does not */
  guard: (doing: Doing) => Promise<FerryError | undefined>;
  to: State;
  /** Where it goes instead when the act fails, the guard refuses, the limit is reached, or the operator stops it. Itself: it waits there to be done again. */
  back: State;
}>;

const nothing = async (): Promise<undefined> => undefined;

const fencedAt = ({ record }: Doing): SourceTime => {
  if (record.fencedAt === undefined) throw new FerryError("FERRY_BUG", `${record.state} without a time of the fence`);
  return record.fencedAt.toBigInt();
};

/**
 * The whole cutover. Each line is durable before its act begins, so a process that is killed in any state is followed by one
 * that does the act again, or goes back. `releasing` is the point of no return but for a hook that says itself that no service
 * was released: until then the source is the side to write to, from then on the target.
 */
export const TABLE = {
  checking: {
    paused: false,
    exclusive: false,
    act: nothing,
    guard: firstOf,
    to: "approaching",
    back: "aborted",
  },
  approaching: {
    paused: false,
    exclusive: false,
    act: async ({ parts, signal }) => {
      await parts.capture.hurry(true);
      await parts.proof.approach(signal);
      await parts.watchman.ready();
      return undefined;
    },
    guard: firstOf,
    to: "fencing",
    back: "lifting",
  },
  fencing: {
    paused: true,
    exclusive: true,
    act: async ({ parts, leftMs, signal }) => ({ fencedAt: new Timestamp(await parts.fence.raise(leftMs, signal)) }),
    guard: nothing,
    to: "draining",
    back: "lifting",
  },
  draining: {
    paused: true,
    exclusive: false,
    act: async (doing) => {
      await doing.parts.capture.drainTo(fencedAt(doing), doing.signal);
      return undefined;
    },
    guard: nothing,
    to: "proving",
    back: "lifting",
  },
  proving: {
    paused: true,
    exclusive: false,
    act: nothing,
    guard: (doing) => doing.parts.proof.missing(fencedAt(doing), doing.signal),
    to: "restoring",
    back: "lifting",
  },
  restoring: {
    paused: true,
    exclusive: true,
    act: async ({ parts, signal }) => {
      await parts.deferred.restoreCheap(signal);
      const back = await parts.wayBack.position();
      return back === undefined ? {} : { back };
    },
    guard: nothing,
    to: "releasing",
    back: "lifting",
  },
  releasing: {
    paused: true,
    exclusive: true,
    act: async ({ parts, leftMs, signal }) => {
      await parts.services.release(leftMs, signal);
      return undefined;
    },
    guard: nothing,
    to: "ending",
    back: "lifting",
  },
  ending: {
    paused: false,
    exclusive: false,
    act: async (doing) => ({ unrestored: [...(await doing.parts.capture.end(fencedAt(doing), doing.signal))] }),
    guard: nothing,
    to: "over",
    back: "ending",
  },
  lifting: {
    paused: false,
    exclusive: false,
    act: async ({ parts, record, decided }) => {
      const back = async (): Promise<void> => {
        // First: services wait for it, whatever the target is about.
        if (record.entered.fencing !== undefined) await parts.fence.lift();
        if (record.entered.restoring !== undefined) await parts.deferred.deferAgain();
      };
      await back();
      if (await decided()) await back();
      await parts.capture.hurry(false);
      return undefined;
    },
    guard: nothing,
    to: "aborted",
    back: "lifting",
  },
  over: { paused: false, exclusive: false, act: nothing, guard: nothing, to: "over", back: "over" },
  aborted: { paused: false, exclusive: false, act: nothing, guard: nothing, to: "aborted", back: "aborted" },
} as const satisfies Readonly<Record<State, CutoverStep>>;

export const STATES = Object.keys(TABLE) as readonly State[];

/** Nothing is done any more. */
export const isEnd = (state: State): boolean => TABLE[state].to === state;

/** Services may have been sent to the target: there is no way back without their word. */
export const mayHaveReleased = (state: State): boolean => state === "releasing" || state === "ending";
