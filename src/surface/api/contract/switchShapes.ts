import { Type } from "typebox";
import { WAY_BACK_MS } from "#cutover/machine/machine.ts";
import { ACTS } from "#process/control/jobs.ts";
import { CODE, FLAG, INTEGER, MS, orNull, REASON, TEXT, TIME, VALUE } from "./shapes.ts";

const LAPS = Type.Record(Type.String(), Type.Number());

/** What this control process was asked for last, and what came of it. */
export const JOB = Type.Object({
  act: Type.Enum([...ACTS]),
  on: Type.String({ description: "`everything`, the namespaces, comma-separated, or the `run`." }),
  by: TEXT,
  at: TIME,
  endedAt: orNull(Type.String({ format: "date-time", description: "Null while it is under way." })),
  refused: orNull(Type.Object({ ...REASON.properties, hint: TEXT }, { description: "Why it did not succeed." })),
});

const CUTOVER_RECORD = Type.Object({
  cutover: INTEGER,
  state: TEXT,
  fence: TEXT,
  namespaces: Type.Array(TEXT),
  pause: Type.Object({ ms: MS, parts: LAPS }),
  fencedAt: orNull(TIME),
  refused: orNull(Type.Object({ ...REASON.properties, at: TIME })),
  unrestored: Type.Array(Type.Object({ ns: TEXT, index: TEXT, reason: TEXT })),
  entered: Type.Record(Type.String(), TIME),
});

/** Of the newest cutover, and of the last rehearsal. */
export const CUTOVER = Type.Object({
  migration: Type.String({
    description: "What `confirm` must say where no namespaces are named: the name of --state-db.",
  }),
  cutover: orNull(CUTOVER_RECORD),
  rehearsal: orNull(Type.Object({ at: TIME, pauseMs: MS, parts: LAPS })),
  job: orNull(JOB),
});

/** The answer to what takes longer than a request. */
export const STARTED = Type.Object({ job: JOB, cutover: orNull(CUTOVER_RECORD) });

const CLOSED = { additionalProperties: false } as const;

/** What MongoDB takes as a database's name, and any name of a collection. */
const NAMESPACE = Type.String({ pattern: '^[^/\\\\. "$\\u0000]{1,63}\\.[^$\\u0000,]+$', maxLength: 255 });

const NAMESPACES = Type.Array(NAMESPACE, {
  ...{ minItems: 1, maxItems: 1000, uniqueItems: true },
  description: "Only these; the others keep streaming. Left out: everything.",
});
const FENCE = Type.Enum(["user-write-block", "validator", "hook", "none"], {
  description:
    "What stops writers. `hook` is the command of --fence, which no request can give. Left out: what --fence names, else user-write-block, and validator with `namespaces`.",
});
const ACCEPT = Type.Array(CODE, { maxItems: 100, description: "Errors to accept: what they stand for stays missing." });
const CONFIRM = Type.String({
  description:
    "Typed by a person: the namespaces as named, comma-separated; without any the `migration` of GET /cutover.",
});

const SWITCH = {
  namespaces: Type.Optional(NAMESPACES),
  fence: Type.Optional(FENCE),
  maxPauseMs: Type.Optional(
    Type.Integer({
      ...{ minimum: WAY_BACK_MS + 1, maximum: 3_600_000, default: 5000 },
      description: "Lift the fence if the pause would be longer.",
    }),
  ),
  maxLagMs: Type.Optional(
    Type.Integer({
      ...{ minimum: 1, maximum: 3_600_000, default: 2000 },
      description: "Start only if the oldest pending change is not older.",
    }),
  ),
  accept: Type.Optional(ACCEPT),
  verifyRest: Type.Optional(
    Type.Boolean({
      description: "While services wait, also compare what they wrote last; `ferry verify --follow` runs.",
    }),
  ),
};

/** Bodies of what switches services. */
export const REHEARSAL_ASKED = Type.Object(SWITCH, CLOSED);
export const SWITCH_ASKED = Type.Object({ ...SWITCH, confirm: CONFIRM }, CLOSED);
export const ABORT_ASKED = Type.Object(
  {
    namespaces: Type.Optional(NAMESPACES),
    fence: Type.Optional(FENCE),
    allowBoth: Type.Optional(
      Type.Boolean({ description: "Lift the fence although services were sent over; needs `confirm`." }),
    ),
    confirm: Type.Optional(CONFIRM),
  },
  CLOSED,
);
export const FINALIZE_ASKED = Type.Object(
  {
    allowWrites: Type.Optional(Type.Boolean({ description: "End although services still write to the source." })),
    accept: Type.Optional(ACCEPT),
    confirm: CONFIRM,
  },
  CLOSED,
);

/** Of what `--ready` is asked for. */
export const READINESS_ASKED = Type.Object(
  {
    namespace: Type.Optional(Type.String({ description: "Only these, comma-separated." })),
    fence: Type.Optional(FENCE),
    accept: Type.Optional(Type.String({ description: "Error codes to accept, comma-separated." })),
  },
  CLOSED,
);

export const READINESS = Type.Object({
  ready: FLAG,
  missing: Type.Array(Type.Object({ ...REASON.properties, hint: TEXT })),
  expectedPauseMs: orNull(Type.Number({ description: "Of a rehearsal of the same names, ms." })),
  rehearsal: orNull(
    Type.Object({
      at: TIME,
      namespaces: Type.Array(TEXT, { description: "What was rehearsed; empty: everything." }),
    }),
  ),
  noWayBack: Type.Array(TEXT, { description: "Why services could not be sent back, of what is switched over." }),
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

export const FINDINGS = Type.Object({
  total: INTEGER,
  findings: Type.Array(
    Type.Object({
      route: TEXT,
      key: VALUE,
      kind: Type.Enum(["pending", "missing", "extra", "different"]),
      how: orNull(Type.String({ description: "How both differ: value, number-type, or field-order." })),
      path: orNull(Type.String({ description: "Where they differ first." })),
      foundAt: TIME,
    }),
  ),
});

export const BOTH_VERSIONS = Type.Object({
  expected: Type.Unknown({ description: "What the route makes of the source's document; null where there is none." }),
  actual: Type.Unknown({ description: "The target's; null where there is none." }),
});
