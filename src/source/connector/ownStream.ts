import type { DdlKind } from "#base/flow/types.ts";
import type { MongoClient } from "#io/mongo/connect.ts";
import { type ChangesRequest, changesAfter, type SeenChanges, type SeenEvent } from "#source/stream/sourceProbe.ts";
import type { Watch } from "#source/stream/watchLevel.ts";
import { type CaptureConfig, topicOf } from "./connectorConfig.ts";

const DATA = new Set(["insert", "update", "replace", "delete"]);
const DDL: ReadonlySet<string> = new Set<DdlKind>(["drop", "rename", "dropDatabase"]);

export const isData = ({ op }: SeenEvent): boolean => DATA.has(op);
export const isDdl = ({ op }: SeenEvent): boolean => DDL.has(op);
/** Does it change anything? The others (`invalidate`, what comes with expanded events) have no record to look for. */
export const isChange = (event: SeenEvent): boolean => isData(event) || isDdl(event);

/** A collection is watched through its database, whose stream continues where a collection's stream is invalidated. */
const probeWatch = (watch: Watch): Watch =>
  watch.level === "collection" ? { level: "database", db: watch.db, coll: "" } : watch;

const scopeStages = ({ level, coll }: Watch): readonly object[] =>
  level === "collection"
    ? [{ $match: { $or: [{ "ns.coll": coll }, { "to.coll": coll }, { operationType: "dropDatabase" }] } }]
    : [];

/**
 * Stages that decide which events come. A filter on the document itself cannot be repeated: the looked-up document has
 * changed since.
 */
const repeatable = (capture: CaptureConfig): readonly object[] | undefined =>
  capture.pipeline === undefined || /fullDocument/.test(JSON.stringify(capture.pipeline))
    ? undefined
    : capture.pipeline;

/** Does ferry's own stream bring the events that the connector's brings? Only DDL otherwise. */
export const isRepeatable = (capture: CaptureConfig): boolean => repeatable(capture) !== undefined;

/** Records that do not carry the event as it was, or go elsewhere: there is nothing to look for. */
export const isReshaped = ({ config, documentsOnly }: CaptureConfig): boolean =>
  documentsOnly || (config["transforms"] ?? "") !== "" || config["topic.mapper"] !== undefined;

/** In which topic an event's record is. */
export const topicOfEvent = (capture: CaptureConfig, event: SeenEvent): string => topicOf(capture.config, event.ns);

export type OwnStreamRequest = Pick<ChangesRequest, "after" | "limit" | "maxMs" | "until" | "clock"> &
  Readonly<{ capture: CaptureConfig; source: MongoClient }>;

/** What the source did in a connector's scope, by a stream of ferry's own. @throws as `changesAfter` */
export const changesInScope = ({ capture, source, ...request }: OwnStreamRequest): Promise<SeenChanges> =>
  changesAfter(source, {
    ...request,
    watch: probeWatch(capture.watch),
    pipeline: [
      ...scopeStages(capture.watch),
      ...(repeatable(capture) ?? [{ $match: { operationType: { $in: [...DDL] } } }]),
    ],
    streamOptions: capture.streamOptions["showExpandedEvents"] === true ? { showExpandedEvents: true } : {},
  });
