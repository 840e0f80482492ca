/**
 * What ferry remembers with, in its database on the target. Field names are part of the product: operators read them
 * in mongosh, `ferry status` reads them, and a later version must understand an earlier one's.
 */
import type { Binary, Long, Timestamp } from "bson";
import type { ConflictPolicy } from "#base/config/routes.ts";
import type { ErrorCode } from "#base/errors/catalogue.ts";
import type { Counts } from "#base/flow/types.ts";

/**
 * One partition of a route: who owns it, until when, and in which epoch. `_id`: `route/partition`. A route reads its topic
 * separately and has its own positions; without a configuration it has the name of the topic.
 */
export type PartitionRecord = {
  _id: string;
  route: string;
  topic: string;
  partition: number;
  /** Kafka's id of the topic that the positions belong to. */
  topicId?: string;
  /** How many lanes its keys are spread over; fixed while their positions differ. */
  slices: number;
  /** Owner generation; every takeover raises it. */
  epoch: Long;
  owner: string | null;
  expiresAt: Date | null;
  /** Logical sessions of the owner's lanes: a takeover ends them, so that no orphaned transaction holds a lane. */
  sessions: Binary[];
  /** The copy's own time as first seen, and which connector start it belongs to: a second value is a second copy. */
  copyAt?: Timestamp;
  /** Of `ferry run`: which owner of its capture the lanes last read from. A process of an older one cannot claim the partition. */
  captureEpoch?: Long;
};

/** One lane: a serial queue for one slice of a partition's keys. `_id`: `route/partition/slice`. */
export type LaneRecord = {
  _id: string;
  route: string;
  topic: string;
  partition: number;
  slice: number;
  epoch: Long;
  /** Next offset to read: everything before it is on the target. */
  offset: Long;
  /** clusterTime of the newest applied event. */
  at: Timestamp;
  /** Log time of the newest applied record, ms since the epoch. */
  logTime: Date;
  counts: Record<keyof Counts, Long>;
  /** What `counts.filtered` consists of, by reason. */
  filteredBy?: Record<string, Long>;
  updatedAt: Date;
};

/** One worker process, as it reports itself once a second. */
export type WorkerRecord = {
  _id: string;
  host: string;
  pid: number;
  startedAt: Date;
  seenAt: Date;
  version: string;
  /** Those that it carries and whose topics it has found. */
  routes?: readonly string[];
  report: WorkerReport;
};

/** What a worker says of itself; numbers of the last second. */
export type WorkerReport = Readonly<{
  partitions: readonly string[];
  appliedPerSecond: number;
  bytesPerSecond: number;
  rssMb: number;
  bufferedBytes: number;
  /** Age of the oldest unsettled record, ms; null while there is none. */
  lagMs: number | null;
  guarantee: "exactly-once" | "at-least-once";
  /** Part of the time in which lanes may write, and the target's answers that it follows from; null without a limit. */
  throttle: Readonly<{ share: number; latencyMs: number | null; limitMs: number }> | null;
}>;

/** How a route began. */
export type Beginning = {
  policy: ConflictPolicy;
  /** clusterTime before ferry's first write; absent on a standalone target. */
  at?: Timestamp;
  /** Did the target collection have documents? */
  occupied: boolean;
  /** Documents that were there are still being marked: nothing is applied before that is done. */
  seeding: boolean;
  /** The number in their marks. */
  seed?: number;
  /** Were writes of others missed? Then marks do not tell which documents have fields of the target's own. */
  unsure?: boolean;
};

/** A digest of a route's rules. */
export type Rules = {
  /** Target namespace. */
  to: string;
  digest: string;
  /** When documents that had been applied by other rules were left behind; absent where there are none. */
  changedAt?: Date;
};

/** A route's run: halted with a named reason until its cause is fixed, or accepted. `_id`: route. */
export type RunRecord = {
  _id: string;
  halted?: { code: ErrorCode; detail: string; at: Date; by: string };
  /**
   * A drop that is being applied: where it was found, and which incarnation of the collection goes. A rename onto the
   * collection was found elsewhere (partition -1): who copies it again, and with how many batches so far.
   */
  dropping?: { at: Timestamp; partition: number; uuid: Binary | null; filler?: string; batches?: number };
  /** clusterTime of the newest applied drop: what is older must not come back. */
  dropAt?: Timestamp;
  /** Its topic's services were sent to the target, behind a fence of this clusterTime: what is later is not applied. */
  switched?: { topic: string; at: Timestamp };
  begun?: Beginning;
  /** The rules that its documents are applied by, and since when, where they were others before. */
  rules?: Rules;
  /** How `_id`s are spelled that other types could spell as well, of topics with several partitions; `! `: outside of their home. */
  spellings?: string[];
  /** The resume token up to which every write of others on the target is marked; an older ferry kept its `_data` alone. */
  watched?: string | Readonly<{ _data: string }>;
};

export const partitionId = (route: string, partition: number): string => `${route}/${partition}`;
export const laneId = (route: string, partition: number, slice: number): string => `${route}/${partition}/${slice}`;
