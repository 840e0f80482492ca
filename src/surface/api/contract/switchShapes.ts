import { Type } from "typebox";
import { FLAG, INTEGER, MS, orNull, REASON, TEXT, TIME } from "./shapes.ts";

const LAPS = Type.Record(Type.String(), Type.Number());

/** Of the newest cutover, and of the last rehearsal. */
export const CUTOVER = Type.Object({
  cutover: orNull(
    Type.Object({
      cutover: INTEGER,
      state: TEXT,
      fence: TEXT,
      namespaces: Type.Array(TEXT),
      pause: Type.Object({ ms: MS, parts: LAPS }),
      fencedAt: orNull(TIME),
      refused: orNull(Type.Object({ ...REASON.properties, at: TIME })),
      unrestored: Type.Array(Type.Object({ ns: TEXT, index: TEXT, reason: TEXT })),
      entered: Type.Record(Type.String(), TIME),
    }),
  ),
  rehearsal: orNull(Type.Object({ at: TIME, pauseMs: MS, parts: LAPS })),
});

export const READINESS = Type.Object({
  ready: FLAG,
  missing: Type.Array(Type.Object({ ...REASON.properties, hint: TEXT })),
  expectedPauseMs: orNull(MS),
});

export const VERIFICATION = Type.Object({
  routes: Type.Array(
    Type.Object({
      route: TEXT,
      pass: INTEGER,
      startedAt: TIME,
      finishedAt: orNull(TIME),
      ranges: INTEGER,
      rangesDone: INTEGER,
      documents: INTEGER,
      verifiedTo: orNull(TIME),
      behind: INTEGER,
      wrong: INTEGER,
      followedAt: orNull(TIME),
    }),
  ),
  structure: orNull(Type.Object({ at: TIME, wrong: Type.Array(TEXT), deferred: INTEGER })),
});
