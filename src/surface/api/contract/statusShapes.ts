import { Type } from "typebox";
import { CODE, EPOCH_MS, FLAG, INTEGER, MS, NAMED_COUNTS, NUMBER, orNull, REASON, TEXT, TIME } from "./shapes.ts";
import { JOB } from "./switchShapes.ts";

/** ferry's own capture: `CaptureLine` of process/report/status.ts. */
export const CAPTURE = Type.Object({
  mode: Type.Enum(["direct", "kafka"]),
  phase: TEXT,
  state: Type.Enum(["running", "pausing", "paused", "draining", "finalizing", "finalized"]),
  owner: orNull(TEXT),
  generation: INTEGER,
  positionMs: EPOCH_MS,
  collections: INTEGER,
  ranges: INTEGER,
  rangesDone: INTEGER,
  documents: INTEGER,
  copied: Type.Integer({ description: "Documents of the copy that are on the target." }),
  lagMs: orNull(MS),
  ended: orNull(Type.Object({ code: CODE, detail: TEXT, at: TIME })),
  limits: Type.Object(
    { maxSourceLoadMs: orNull(INTEGER), documentsPerSecond: orNull(INTEGER) },
    { description: "Of the copy, 0 for no limit; null: as the process was started." },
  ),
  estimate: orNull(INTEGER),
  oplog: orNull(Type.Object({ fill: NUMBER, windowSeconds: NUMBER, leftSeconds: NUMBER, short: FLAG, atMs: EPOCH_MS })),
  spool: orNull(
    Type.Object({ bytes: NUMBER, limitBytes: NUMBER, positionMs: EPOCH_MS, full: orNull(TEXT), atMs: EPOCH_MS }),
  ),
});

const BOOKS = Type.Object({
  received: INTEGER,
  applied: INTEGER,
  superseded: INTEGER,
  filtered: INTEGER,
  dead: INTEGER,
});

export const LANE = Type.Object({
  route: TEXT,
  topic: TEXT,
  partition: INTEGER,
  slice: INTEGER,
  owner: orNull(TEXT),
  epoch: INTEGER,
  offset: INTEGER,
  lag: Type.Integer({ description: "Records of the log after its position." }),
  counts: BOOKS,
  filteredBy: NAMED_COUNTS,
  imbalance: Type.Integer({ description: "Not 0: events were lost or counted twice." }),
});

export const WORKER = Type.Object({
  id: TEXT,
  host: TEXT,
  pid: INTEGER,
  seenMsAgo: MS,
  alive: FLAG,
  report: Type.Object({
    partitions: Type.Array(TEXT),
    appliedPerSecond: NUMBER,
    bytesPerSecond: NUMBER,
    rssMb: NUMBER,
    bufferedBytes: NUMBER,
    lagMs: orNull(MS),
    guarantee: Type.Enum(["exactly-once", "at-least-once"]),
    throttle: orNull(Type.Object({ share: NUMBER, latencyMs: orNull(MS), limitMs: MS })),
  }),
});

const CONNECTOR = Type.Object({
  name: TEXT,
  type: TEXT,
  state: TEXT,
  tasks: Type.Array(Type.Object({ id: INTEGER, state: TEXT })),
});

export const CONNECTORS = Type.Object({
  connectors: Type.Array(CONNECTOR),
  findings: Type.Array(Type.Object({ code: CODE, connector: TEXT, sentence: TEXT, remedy: TEXT, dataAtStake: FLAG })),
  topics: Type.Array(TEXT),
  ends: Type.Array(Type.Object({ topic: TEXT, partition: INTEGER, offset: INTEGER })),
});

const ROUTE_NOTE = Type.Object({ route: TEXT, ...REASON.properties });

export const ROUTE_NOTES = Type.Object({ halted: Type.Array(ROUTE_NOTE), notes: Type.Array(ROUTE_NOTE) });

/** `CollectionCopy` of process/report/copyProgress.ts. */
export const COLLECTION_COPY = Type.Object({
  topic: TEXT,
  documents: Type.Integer({ description: "Copied: on the target with `ferry run`, in Kafka with `ferry capture`." }),
  estimate: orNull(INTEGER),
  ranges: INTEGER,
  rangesDone: INTEGER,
  shares: Type.Array(NUMBER, { description: "How far each range is, 0 to 1, in order; of many some stand together." }),
});

export const CONFLICT_COUNTS = Type.Array(
  Type.Object({ route: TEXT, winner: Type.Enum(["source", "target"]), count: INTEGER }),
);

/** What a person asks for first; sent as it changes, too. */
export const OVERVIEW = Type.Object({
  at: TIME,
  summary: Type.String({ description: "The first line of `ferry status`." }),
  exit: Type.Integer({ description: "Exit status of `ferry status`; 0 where nothing needs a person." }),
  needs: Type.Array(TEXT, { description: "What needs a person, the gravest first." }),
  lagMs: orNull(Type.Number({ description: "Age of the oldest change of the source that is not on the target, ms." })),
  capture: orNull(CAPTURE),
  copy: orNull(
    Type.Object({
      documents: Type.Integer({ description: "On the target." }),
      estimate: orNull(INTEGER),
      perSecond: orNull(Type.Number({ description: "Documents, over the last minute in which clients asked." })),
      etaMs: orNull(MS),
    }),
  ),
  lanes: Type.Object({
    count: INTEGER,
    waiting: Type.Integer({ description: "Records of the log after the lanes' positions." }),
    counts: BOOKS,
    imbalanced: Type.Integer({ description: "Lanes whose books do not balance." }),
  }),
  workers: Type.Object({ alive: INTEGER, gone: INTEGER, appliedPerSecond: NUMBER, bytesPerSecond: NUMBER }),
  halted: INTEGER,
  letters: Type.Array(Type.Object({ route: TEXT, letters: INTEGER })),
  conflicts: CONFLICT_COUNTS,
  drift: Type.Integer({ description: "Types of fields that were not there when their route began." }),
  verification: Type.Object({
    routes: INTEGER,
    finished: INTEGER,
    documents: INTEGER,
    behind: INTEGER,
    wrong: INTEGER,
    structureWrong: INTEGER,
    verifiedTo: orNull(TIME),
  }),
  cutover: orNull(Type.Object({ cutover: INTEGER, state: TEXT, pauseMs: MS })),
  job: orNull(JOB),
  unread: Type.Array(Type.Object({ part: TEXT, reason: TEXT })),
});
