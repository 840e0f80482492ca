import { Type } from "typebox";
import { CODE, INTEGER, orNull, TEXT, TIME, VALUE } from "./shapes.ts";

/** What is known of single documents. `VALUE`s are for those who may see documents. */

export const LETTER = Type.Object({
  id: Type.String({ description: "route/partition/offset" }),
  route: TEXT,
  topic: TEXT,
  partition: INTEGER,
  offset: INTEGER,
  key: VALUE,
  code: CODE,
  reason: Type.String({ description: "Names values where the target did; a viewer gets the code's general sentence." }),
  serverCode: orNull(INTEGER),
  clash: orNull(Type.Object({ index: TEXT, other: VALUE })),
  attempts: INTEGER,
  state: Type.Enum(["waiting", "replay", "discard"]),
  rawBytes: INTEGER,
  storedAt: TIME,
});

export const CONFLICT_LINE = Type.Object({
  id: Type.String({ description: "route/partition/offset" }),
  route: TEXT,
  partition: INTEGER,
  offset: INTEGER,
  ns: TEXT,
  key: VALUE,
  policy: TEXT,
  winner: Type.Enum(["source", "target"]),
  why: TEXT,
  fields: Type.Array(TEXT),
  clusterTime: Type.Integer({ description: "Of the source's event, seconds." }),
  storedAt: TIME,
});

export const CONFLICT_VERSIONS = Type.Object({ ...CONFLICT_LINE.properties, source: VALUE, target: VALUE });

const MOMENT = Type.Object({
  seconds: Type.Integer({ description: "Cluster time; 0 in the copy." }),
  increment: INTEGER,
  partition: INTEGER,
  offset: INTEGER,
});

export const DRIFT_LINE = Type.Object({
  route: TEXT,
  path: TEXT,
  type: TEXT,
  kind: Type.Enum(["field", "type"]),
  baseline: Type.Boolean({ description: "Part of what was there when the route began." }),
  outcome: Type.Enum(["open", "pass", "drop", "hold", "stop"]),
  first: MOMENT,
  last: MOMENT,
  count: INTEGER,
  example: VALUE,
});
