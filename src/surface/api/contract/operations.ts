import { Type } from "typebox";
import { ROLES } from "#process/control/tokenStore.ts";
import { CONFLICT_LINE, CONFLICT_VERSIONS, DRIFT_LINE, LETTER } from "./documentShapes.ts";
import type { Operation } from "./operation.ts";
import { PREVIEW, PREVIEW_ASKED, ROUTE_LINE } from "./routeShapes.ts";
import { CODE, INTEGER, LIMIT, orNull, ROUTE_NAME, TEXT, TIME } from "./shapes.ts";
import {
  CAPTURE,
  COLLECTION_COPY,
  CONFLICT_COUNTS,
  CONNECTORS,
  LANE,
  OVERVIEW,
  ROUTE_NOTES,
  WORKER,
} from "./statusShapes.ts";
import { SWITCH_OPERATIONS } from "./switchOperations.ts";
import { BOTH_VERSIONS, FINDINGS } from "./switchShapes.ts";

const CLOSED = { additionalProperties: false } as const;

const KEY = Type.String({ description: "An _id as extended JSON." });
const ID = Type.Object({ id: Type.String({ description: "route/partition/offset, percent-encoded" }) });
const NAME = Type.Object({ name: Type.String({ description: "Of a connector in Kafka Connect." }) });
const STEERED = Type.Object({ state: TEXT });
const RUN = Type.Object({
  state: CAPTURE.properties.state,
  owner: CAPTURE.properties.owner,
  ended: CAPTURE.properties.ended,
});

/** Everything that can be asked, by the name of its handler. */
export const OPERATIONS = {
  getOpenApi: {
    method: "GET",
    path: "/openapi.json",
    access: "anyone",
    summary: "This description.",
    answer: Type.Unknown(),
  },
  getToken: {
    method: "GET",
    path: "/token",
    access: "viewer",
    summary: "Whose token this is, and what it is for.",
    answer: Type.Object({
      id: TEXT,
      role: Type.Enum([...ROLES]),
      name: orNull(TEXT),
      expiresAt: orNull(TIME),
    }),
  },
  getOverview: {
    method: "GET",
    path: "/overview",
    access: "viewer",
    summary: "The migration at a glance, at most a second old.",
    answer: OVERVIEW,
  },
  watchOverview: {
    method: "GET",
    path: "/events",
    access: "viewer",
    summary: "The overview as it changes: server-sent events named `overview`, at most one a second.",
    answer: OVERVIEW,
    isStream: true,
  },
  getCapture: {
    method: "GET",
    path: "/capture",
    access: "viewer",
    summary:
      "ferry's own capture: phase, progress of the copy, position, seconds behind, oplog window; null where there is none.",
    answer: Type.Object({ capture: orNull(CAPTURE) }),
  },
  listCopy: {
    method: "GET",
    path: "/copy",
    access: "viewer",
    summary: "How far the copy of each collection is; empty where connectors capture.",
    answer: Type.Array(COLLECTION_COPY),
  },
  listLanes: {
    method: "GET",
    path: "/lanes",
    access: "viewer",
    summary: "Lanes with their positions and books.",
    answer: Type.Array(LANE),
  },
  listWorkers: {
    method: "GET",
    path: "/workers",
    access: "viewer",
    summary: "Workers with their last report.",
    answer: Type.Array(WORKER),
  },
  listConnectors: {
    method: "GET",
    path: "/connectors",
    access: "viewer",
    summary: "Connectors, what was found about them, topics and their ends.",
    answer: CONNECTORS,
  },
  listRouteNotes: {
    method: "GET",
    path: "/routes/notes",
    access: "viewer",
    summary: "Routes that are halted, and what else an operator should know of a route.",
    answer: ROUTE_NOTES,
  },
  listRoutes: {
    method: "GET",
    path: "/routes",
    access: "viewer",
    summary: "Routes of the configuration; without one, those that lanes carry.",
    answer: Type.Array(ROUTE_LINE),
  },
  previewRoute: {
    method: "POST",
    path: "/routes/preview",
    access: "operator",
    summary: "A sample of the source's documents before and after a route's rules, or others; writes nothing.",
    body: PREVIEW_ASKED,
    answer: PREVIEW,
    holdsDocuments: true,
  },
  listDrift: {
    method: "GET",
    path: "/drift",
    access: "viewer",
    summary: "Fields and types in the order in which they appeared.",
    query: Type.Object(
      {
        route: Type.Optional(ROUTE_NAME),
        since: Type.Optional(Type.Integer({ minimum: 0, description: "Seconds of a cluster time." })),
        all: Type.Optional(Type.Boolean({ description: "Also what was there when the route began." })),
      },
      CLOSED,
    ),
    answer: Type.Array(DRIFT_LINE),
    holdsDocuments: true,
  },
  decideDrift: {
    method: "POST",
    path: "/drift/decisions",
    access: "operator",
    summary: "Passes a field or drops it from now on; what was held for it is applied again.",
    body: Type.Object(
      {
        route: ROUTE_NAME,
        path: Type.String({ minLength: 1 }),
        type: Type.Optional(Type.String({ description: "Only where the field has this BSON type, as `string`." })),
        verdict: Type.Enum(["pass", "drop"]),
      },
      CLOSED,
    ),
    answer: Type.Object({ held: Type.Integer({ description: "Held events that are applied again." }) }),
  },
  listConflicts: {
    method: "GET",
    path: "/conflicts",
    access: "viewer",
    summary: "Documents that the source and services of the target both wrote, oldest first.",
    query: Type.Object(
      {
        route: Type.Optional(ROUTE_NAME),
        winner: Type.Optional(Type.Enum(["source", "target"])),
        key: Type.Optional(KEY),
        limit: Type.Optional(LIMIT),
      },
      CLOSED,
    ),
    answer: Type.Object({ conflicts: Type.Array(CONFLICT_LINE), totals: CONFLICT_COUNTS }),
    holdsDocuments: true,
  },
  getConflict: {
    method: "GET",
    path: "/conflicts/{id}",
    access: "viewer",
    summary: "One conflict with both versions.",
    params: ID,
    answer: CONFLICT_VERSIONS,
    holdsDocuments: true,
  },
  listLetters: {
    method: "GET",
    path: "/dead-letters",
    access: "viewer",
    summary: "Events that could not be applied, oldest position first.",
    query: Type.Object(
      {
        route: Type.Optional(ROUTE_NAME),
        reason: Type.Optional(CODE),
        key: Type.Optional(KEY),
        limit: Type.Optional(LIMIT),
      },
      CLOSED,
    ),
    answer: Type.Object({ letters: Type.Array(LETTER), total: INTEGER }),
    holdsDocuments: true,
  },
  getLetter: {
    method: "GET",
    path: "/dead-letters/{id}",
    access: "operator",
    summary: "One dead letter with its record.",
    params: ID,
    answer: Type.Object({ ...LETTER.properties, value: orNull(Type.String({ description: "The record as text." })) }),
    holdsDocuments: true,
  },
  decideLetters: {
    method: "POST",
    path: "/dead-letters/decisions",
    access: "operator",
    summary:
      "Replays or discards dead letters: the decision is noted, and the owners of their partitions carry it out.",
    body: Type.Object(
      {
        verdict: Type.Enum(["replay", "discard"]),
        ids: Type.Optional(Type.Array(TEXT, { minItems: 1, maxItems: 10_000 })),
        route: Type.Optional(ROUTE_NAME),
        reason: Type.Optional(CODE),
        key: Type.Optional(KEY),
        all: Type.Optional(Type.Boolean({ description: "All letters, where nothing else selects." })),
      },
      CLOSED,
    ),
    answer: Type.Object({
      noted: Type.Integer({ description: "Letters that the decision is for." }),
      workers: Type.Integer({ description: "Living workers; 0: it is carried out when one runs." }),
    }),
  },
  listFindings: {
    method: "GET",
    path: "/verification/findings",
    access: "viewer",
    summary: "Documents of a route that `ferry verify` found wrong, oldest first.",
    query: Type.Object({ route: ROUTE_NAME, limit: Type.Optional(LIMIT) }, CLOSED),
    answer: FINDINGS,
    holdsDocuments: true,
  },
  compareDocument: {
    method: "GET",
    path: "/verification/document",
    access: "operator",
    summary: "One document as it should be on the target, and as it is now.",
    query: Type.Object({ route: ROUTE_NAME, key: KEY }, CLOSED),
    answer: BOTH_VERSIONS,
    holdsDocuments: true,
  },
  ...SWITCH_OPERATIONS,
  pauseRun: {
    method: "POST",
    path: "/run/pause",
    access: "operator",
    summary: "Pauses `ferry run` or `ferry capture` until it is resumed, also after a restart.",
    answer: RUN,
  },
  resumeRun: {
    method: "POST",
    path: "/run/resume",
    access: "operator",
    summary: "Resumes a paused `ferry run` or `ferry capture` from its position.",
    answer: RUN,
  },
  throttleRun: {
    method: "POST",
    path: "/run/throttle",
    access: "operator",
    summary:
      "How fast the run may copy, obeyed within a second, also after a restart. Left out: as its process was started.",
    body: Type.Object(
      {
        maxSourceLoadMs: Type.Optional(
          Type.Integer({
            ...{ minimum: 0, maximum: 3_600_000 },
            description: "Slow down while one small read of the source takes longer; 0: no limit.",
          }),
        ),
        documentsPerSecond: Type.Optional(
          Type.Integer({ minimum: 0, maximum: 1_000_000_000, description: "Copy no more than this; 0: no limit." }),
        ),
      },
      CLOSED,
    ),
    answer: Type.Object({ ...RUN.properties, limits: CAPTURE.properties.limits }),
  },
  pauseConnector: {
    method: "POST",
    path: "/connectors/{name}/pause",
    access: "operator",
    summary: "Pauses a connector.",
    params: NAME,
    answer: STEERED,
  },
  resumeConnector: {
    method: "POST",
    path: "/connectors/{name}/resume",
    access: "operator",
    summary: "Resumes a connector from its position.",
    params: NAME,
    answer: STEERED,
  },
  listAudit: {
    method: "GET",
    path: "/audit",
    access: "operator",
    summary: "Who asked for which change, the newest first.",
    query: Type.Object({ limit: Type.Optional(LIMIT) }, CLOSED),
    answer: Type.Array(
      Type.Object({
        at: TIME,
        via: Type.Enum(["cli", "api"]),
        who: TEXT,
        action: TEXT,
        on: TEXT,
        before: Type.Unknown(),
        after: Type.Unknown(),
      }),
    ),
  },
} as const satisfies Readonly<Record<string, Operation>>;

export type OperationName = keyof typeof OPERATIONS;
