import type { Long } from "bson";
import { readLetterCounts } from "#apply/deadletter/deadLetterStore.ts";
import { type LaneRecord, partitionId, type WorkerRecord } from "#apply/lanes/laneRecords.ts";
import { ALIVE_MS } from "#apply/lanes/livingWorkers.ts";
import { readLanes, readRuns } from "#apply/lanes/readLanes.ts";
import type { ErrorCode } from "#base/errors/catalogue.ts";
import { systemClock } from "#base/flow/clock.ts";
import { type Counts, imbalance, NO_COUNTS } from "#base/flow/types.ts";
import type { KafkaClient } from "#io/kafka/client.ts";
import { topicAmong } from "#io/kafka/topicName.ts";
import { translated } from "#io/mongo/errors.ts";
import type { StateDb } from "#io/state/stateDb.ts";
import { isDataTopic } from "#io/wire/topics.ts";
import { type RunState, stateOf, type Trouble } from "#source/capture/captureLifecycle.ts";
import { type CaptureRecord, readCapture, type StoredCapture } from "#source/capture/captureStore.ts";
import type { ConnectorView } from "#source/connect/connectRest.ts";
import { type CaptureLook, type ConnectorHealthDeps, checkCapture } from "#source/connector/connectorHealth.ts";
import type { ConnectorFinding } from "#source/connector/finding.ts";
import { patiently } from "#source/connector/patience.ts";
import { ofPlans, type RangeRecord } from "#source/copy/rangeRecord.ts";
import type { OplogNote } from "#source/stream/oplogRoom.ts";
import { secondsOf, tokenTime } from "#source/stream/resumeToken.ts";
import { lagOfAll, oldestWaiting } from "./lag.ts";
import { type PoolBooks, type PoolLine, poolLines, readPoolBooks } from "./pools.ts";
import { readingParts, type UnreadPart } from "./readingParts.ts";

export type TopicEnd = Readonly<{ topic: string; partition: number; offset: number }>;

/** One lane as `ferry status` shows it. `lag` counts records. */
export type LaneLine = Readonly<{
  route: string;
  topic: string;
  partition: number;
  slice: number;
  owner: string | null;
  epoch: number;
  offset: number;
  lag: number;
  counts: Counts;
  /** What the filtered ones consist of, by reason. */
  filteredBy: Readonly<Record<string, number>>;
  /** By how much the books do not balance: 0 unless events were lost or counted twice. */
  imbalance: number;
}>;

export type WorkerLine = Readonly<{
  id: string;
  host: string;
  pid: number;
  seenMsAgo: number;
  alive: boolean;
  report: WorkerRecord["report"];
}>;

/** ferry's own capture, where it is at work. */
export type CaptureLine = Readonly<{
  mode: CaptureRecord["mode"];
  phase: CaptureRecord["phase"];
  /** Running, paused, finalized, or on the way there. */
  state: RunState;
  /** The owner; null while no process captures. */
  owner: string | null;
  generation: number;
  /** Source time of the saved position, ms since the epoch. */
  positionMs: number;
  collections: number;
  ranges: number;
  rangesDone: number;
  documents: number;
  /** Of them, on the target: workers apply what is captured into Kafka. */
  copied: number;
  /** Age of the oldest change of the source that is not on the target (with Kafka: not captured), ms; null if it was not noted. */
  lagMs: number | null;
  /** What its last process ended with; null where one is at work, or was stopped as asked. */
  ended: Trouble | null;
  /** How fast it may copy, 0 for no limit; null: as its process was started. */
  limits: Readonly<{ maxSourceLoadMs: number | null; documentsPerSecond: number | null }>;
  /** What the source estimated when the copy was planned; null if it was not noted. */
  estimate: number | null;
  /** How much room the source's oplog leaves, and when that was looked at, ms since the epoch; null where it may not be read. */
  oplog: (OplogNote & Readonly<{ atMs: number }>) | null;
  /** What waits in files for the end of the copy, up to which source time, and when that was looked at; null where nothing does. */
  spool: Readonly<{ bytes: number; limitBytes: number; positionMs: number; full: string | null; atMs: number }> | null;
}>;

export type RouteNote = Readonly<{ route: string; code: ErrorCode; detail: string }>;

/** Everything at a glance. A part that could not be read is in `unread` with its reason, and is empty here. */
export type Status = Readonly<{
  topics: readonly string[];
  connectors: readonly ConnectorView[];
  ends: readonly TopicEnd[];
  /** None where the connector captures. */
  own: CaptureLine | null;
  /** Age of the oldest change of the source that is not on the target, by the source's time, ms; null where nothing tells. */
  lagMs: number | null;
  lanes: readonly LaneLine[];
  workers: readonly WorkerLine[];
  halted: readonly RouteNote[];
  pools: readonly PoolLine[];
  /** Dead letters that wait, by route. */
  letters: readonly Readonly<{ route: string; letters: number }>[];
  /** What an operator should know of an active route. */
  notes: readonly RouteNote[];
  findings: readonly ConnectorFinding[];
  unread: readonly UnreadPart[];
}>;

/** A status as JSON tells it. A connector's configuration holds its URI with the password, and whatever else its plugins take for secret. */
export type StatusFacts = Omit<Status, "connectors"> &
  Readonly<{ connectors: readonly Omit<ConnectorView, "config">[] }>;

export const statusFacts = (found: Status): StatusFacts => ({
  ...found,
  connectors: found.connectors.map(({ config: _, ...connector }) => connector),
});

export type StatusDeps = Readonly<{
  kafka: KafkaClient | undefined;
  /** Absent where only Kafka and Connect are known. */
  state: StateDb | undefined;
  capture: ConnectorHealthDeps | undefined;
}>;

const readEnds = async (kafka: KafkaClient, topics: readonly string[]): Promise<TopicEnd[]> => {
  const ends = await Promise.all(
    topics.filter(isDataTopic).map(async (topic) => {
      const offsets = await patiently({ clock: systemClock }, `offsets of ${topic}`, () =>
        kafka.offsets(topic, "latest"),
      );
      return offsets.map((offset, partition) => ({ topic, partition, offset }));
    }),
  );
  return ends.flat();
};

const numbers = (longs: Readonly<Record<string, Long>>): Record<string, number> =>
  Object.fromEntries(Object.entries(longs).map(([name, n]) => [name, Number(n)]));

const laneLines = async (state: StateDb, ends: readonly TopicEnd[]): Promise<LaneLine[]> => {
  const { lanes, partitions } = await readLanes(state);
  const byId = new Map(partitions.map((record) => [record._id, record]));
  const topics = new Set(ends.map(({ topic }) => topic));
  const endOf = new Map(ends.map(({ topic, partition, offset }) => [`${topic}/${partition}`, offset]));
  return lanes.flatMap((lane) => {
    const record = byId.get(partitionId(lane.route, lane.partition));
    if (record !== undefined && lane.slice >= record.slices) return []; // left over from a wider division
    const offset = Number(lane.offset);
    const counts = { ...NO_COUNTS, ...numbers(lane.counts) };
    return [
      {
        route: lane.route,
        topic: lane.topic,
        partition: lane.partition,
        slice: lane.slice,
        owner: record?.owner ?? null,
        epoch: Number(lane.epoch),
        offset,
        lag: Math.max(0, (endOf.get(`${topicAmong(lane.topic, topics)}/${lane.partition}`) ?? offset) - offset),
        counts,
        filteredBy: numbers(lane.filteredBy ?? {}),
        imbalance: imbalance(counts),
      },
    ];
  });
};

const readWorkers = async (state: StateDb): Promise<WorkerLine[]> => {
  const workers = await translated("reading the workers", () =>
    state
      .collection<WorkerRecord>("workers")
      .aggregate<WorkerRecord & { ageMs: number }>([
        { $set: { ageMs: { $toLong: { $subtract: ["$$NOW", "$seenAt"] } } } }, // by the server's clock, as the leases are
        { $sort: { _id: 1 } },
      ])
      .toArray(),
  );
  return workers.map(({ _id, host, pid, ageMs, report }) => ({
    id: _id,
    host,
    pid,
    seenMsAgo: Number(ageMs),
    alive: Number(ageMs) < ALIVE_MS,
    report,
  }));
};

const runNotes = async (state: StateDb): Promise<Pick<Status, "halted" | "notes">> => {
  const runs = [...(await readRuns(state)).values()];
  const halted = runs.flatMap(({ _id, halted }) =>
    halted === undefined ? [] : [{ route: _id, code: halted.code, detail: halted.detail }],
  );
  const notes = runs.flatMap(({ _id, rules }) =>
    rules?.changedAt === undefined
      ? []
      : [{ route: _id, code: "FERRY_ROUTE_RULES" as const, detail: `since ${rules.changedAt.toISOString()}` }],
  );
  return { halted, notes };
};

/**
 * Documents of the copy that are on the target. A range of `ferry run` moves when they are; with Kafka the copied records are a
 * topic's first, so that as many are applied as its slowest route has received.
 */
const copiedOf = (
  mode: CaptureRecord["mode"],
  ranges: readonly Pick<RangeRecord, "topic" | "documents">[],
  lanes: readonly LaneRecord[],
): number => {
  const captured = new Map<string, number>();
  for (const { topic, documents } of ranges) captured.set(topic, (captured.get(topic) ?? 0) + Number(documents));
  const applied = (topic: string): number => {
    const byRoute = new Map<string, number>();
    for (const lane of lanes)
      if (lane.topic === topic) byRoute.set(lane.route, (byRoute.get(lane.route) ?? 0) + Number(lane.counts.received));
    return byRoute.size === 0 ? 0 : Math.min(...byRoute.values());
  };
  return [...captured].reduce(
    (sum, [topic, documents]) => sum + (mode === "direct" ? documents : Math.min(documents, applied(topic))),
    0,
  );
};

/** A note of this age is as good as the next one, ms. */
const FRESH_MS = 3000;

/** Noted about once a second; if it is no longer noted it has grown since, unless there was none and the run is over. */
const lagOf = ({ lag, lifecycle }: Pick<StoredCapture, "lag" | "lifecycle">, isOwned: boolean): number | null => {
  if (lag === undefined || lifecycle?.finalizedAt !== undefined) return null;
  const ms = Number(lag.ms);
  const sinceMs = Math.max(0, Date.now() - lag.at.getTime());
  if (isOwned && sinceMs < FRESH_MS) return ms;
  return ms === 0 ? null : ms + sinceMs;
};

export const limitsIn = ({ lifecycle }: Pick<StoredCapture, "lifecycle">): CaptureLine["limits"] => {
  const { maxSourceLoadMs = null, documentsPerSecond = null } = lifecycle?.limits ?? {};
  return { maxSourceLoadMs, documentsPerSecond };
};

const captureLine = async (state: StateDb): Promise<CaptureLine | null> => {
  const [record, { lanes }] = await Promise.all([readCapture(state), readLanes(state)]);
  if (record === undefined) return null;
  const ranges = await translated("reading the copy's ranges", () =>
    state
      .collection<RangeRecord>("copyRanges")
      .find(ofPlans([record.plan ?? null]), { projection: { done: 1, documents: 1, topic: 1 } })
      .toArray(),
  );
  const { oplog, spool } = record;
  const isOwned = record.expiresAt !== null && record.expiresAt.getTime() > Date.now() - ALIVE_MS;
  return {
    mode: record.mode,
    phase: record.phase,
    state: stateOf(record),
    owner: isOwned ? record.owner : null,
    generation: record.generation,
    positionMs: secondsOf(tokenTime(record.token)) * 1000,
    collections: record.topics.length,
    ranges: ranges.length,
    rangesDone: ranges.filter(({ done }) => done).length,
    documents: ranges.reduce((sum, { documents }) => sum + Number(documents), 0),
    copied: copiedOf(record.mode, ranges, lanes),
    lagMs: lagOf(record, isOwned),
    ended: isOwned ? null : (record.ended ?? null),
    limits: limitsIn(record),
    estimate: record.estimate === undefined ? null : Number(record.estimate),
    oplog:
      oplog === undefined
        ? null
        : {
            fill: oplog.fill,
            windowSeconds: oplog.windowSeconds,
            leftSeconds: oplog.leftSeconds,
            short: oplog.short,
            atMs: oplog.at.getTime(),
          },
    spool:
      spool == null
        ? null
        : {
            bytes: spool.bytes,
            limitBytes: spool.limitBytes,
            positionMs: secondsOf(tokenTime(spool.newest)) * 1000,
            full: spool.full,
            atMs: spool.at.getTime(),
          },
  };
};

/** Reads all parts; one that fails does not hide the others. */
export const readStatus = async ({ kafka, state, capture }: StatusDeps): Promise<Status> => {
  const { part, unread } = readingParts();
  const [topics, connectors] = await Promise.all([
    part<string[]>("topics", [], kafka && (() => kafka.allTopics())),
    part<ConnectorView[]>("connectors", [], capture && (() => capture.rest.all())),
  ]);
  const ends = await part<TopicEnd[]>("end offsets", [], kafka && (() => readEnds(kafka, topics)));
  const [own, lanes, workers, runs, letters, books, look] = await Promise.all([
    part<CaptureLine | null>("own capture", null, state && (() => captureLine(state))),
    part<LaneLine[]>("lanes", [], state && (() => laneLines(state, ends))),
    part<WorkerLine[]>("workers", [], state && (() => readWorkers(state))),
    part<Pick<Status, "halted" | "notes">>("runs", { halted: [], notes: [] }, state && (() => runNotes(state))),
    part<Status["letters"]>("dead letters", [], state && (() => readLetterCounts(state))),
    part<PoolBooks>("pools", { tallies: [], copying: undefined }, state && (() => readPoolBooks(state))),
    part<CaptureLook>("capture", { findings: [], pendingAt: undefined }, capture && (() => checkCapture(capture))),
  ]);
  const waitingMs = await part<number | undefined>("lag", undefined, kafka && (() => oldestWaiting(kafka, lanes)));
  const lagMs = lagOfAll({ own, workers, waitingMs, pendingAt: look.pendingAt, now: Date.now() });
  const pools = poolLines(books, { lanes, kafka: kafka !== undefined });
  const { findings } = look;
  const told = { topics: topics.sort(), connectors, ends, own, lagMs, lanes, workers, pools };
  return { ...told, ...runs, letters, findings, unread };
};
