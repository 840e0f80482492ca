import { Type } from "typebox";
import { INTEGER, NAMED_COUNTS, orNull, ROUTE_NAME, TEXT, VALUE } from "./shapes.ts";

const CLOSED = { additionalProperties: false } as const;

const PATHS = Type.Array(TEXT);
const WHERE = Type.Record(Type.String(), Type.Unknown(), { description: "Row filter, as in ferry.yaml." });

export const ROUTE_LINE = Type.Object({
  route: TEXT,
  from: TEXT,
  to: TEXT,
  rules: orNull(
    Type.Object(
      { fields: orNull(Type.Unknown()), where: orNull(Type.Unknown()) },
      { description: "As ferry.yaml has them; null for a viewer, since they may hold values." },
    ),
  ),
  hasRules: Type.Boolean({ description: "It leaves something out, renames or masks." }),
  newField: TEXT,
  typeChange: TEXT,
  conflict: orNull(TEXT),
});

/** Documents by a route's rules, or by others in their place. What a route masks stays masked. */
export const PREVIEW_ASKED = Type.Object(
  {
    route: ROUTE_NAME,
    allow: Type.Optional(PATHS),
    deny: Type.Optional(PATHS),
    rename: Type.Optional(Type.Record(Type.String(), Type.String())),
    where: Type.Optional(WHERE),
    sample: Type.Optional(Type.Integer({ minimum: 1, maximum: 100, default: 20 })),
  },
  CLOSED,
);

export const PREVIEW = Type.Object({
  route: TEXT,
  documents: Type.Array(Type.Object({ before: VALUE, after: VALUE, lost: PATHS })),
  lost: NAMED_COUNTS,
  leftOut: INTEGER,
  bytesBefore: INTEGER,
  bytesAfter: INTEGER,
});
