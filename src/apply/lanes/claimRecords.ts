import type { Binary } from "bson";
import type { StateSession } from "#base/flow/stateTx.ts";
import type { LaneState } from "./claims.ts";

/** Which partition of which route. */
export type PartitionPlace = Readonly<{ route: string; partition: number }>;

/** A partition's record, as a claim needs it. */
export type PartitionState = PartitionPlace &
  Readonly<{
    topic: string;
    /** Kafka's id of the topic that the positions belong to; undefined in records of an earlier version. */
    topicId: string | undefined;
    slices: number;
    /** Owner generation: every takeover raises it. */
    epoch: number;
    owner: string | null;
    /** Ids of the sessions in which its owner writes, and those of former owners that may have been left open. */
    sessions: readonly Binary[];
    /** 0n where no copy has been seen. */
    copyAt: bigint;
    /** Which owner of the capture its lanes last read from, where that lies in their process; undefined where it does not. */
    captureEpoch: number | undefined;
  }>;

/** What is noted of a route as a whole, as a claim needs it. Times are clusterTimes. */
export type RouteNotes = Readonly<{
  /** The newest drop that is applied; 0n where there was none. */
  dropAt: bigint;
  /** A drop that is being applied, and in which partition it was found. */
  dropping: Readonly<{ at: bigint; partition: number }> | undefined;
  /** The fence behind which services write to the target. */
  switchedAt: bigint | undefined;
}>;

/** Who takes a partition, and for how long without a renewal, ms, by the records' own clock. */
export type Lease = Readonly<{
  workerId: string;
  leaseMs: number;
  /**
   * Of lanes that read what the capture in their own process hands out: which of its owners that is. An older one's offsets mean
   * other records, so a partition that a newer one's lanes have had is refused.
   */
  captureEpoch?: number | undefined;
}>;

/** A session whose transactions any other process can end by its id. */
export type OwnerSession = StateSession & Readonly<{ id: Binary }>;

/**
 * The records of partitions, lanes and routes that ownership consists of. Each method is one step: what another process does
 * comes before it or after it. Every implementation passes test/contract/claims.test.ts. Every method throws FERRY_MONGO_*.
 */
export interface ClaimRecords {
  /** The partition, where it has no owner or its lease has run out. */
  free(place: PartitionPlace): Promise<PartitionState | undefined>;
  /**
   * Makes it the lease's, one epoch higher, where it is still free and as `former` says, and no newer owner's of the capture.
   * Undefined where it is not.
   */
  take(former: PartitionState, lease: Lease, sessions: readonly Binary[]): Promise<PartitionState | undefined>;
  /** Extends the lease on those of these partitions (`route/partition`) that the worker owns. */
  renew(partitions: readonly string[], lease: Lease): Promise<void>;
  /** Gives a partition back that the worker still owns in this epoch. */
  giveBack(place: PartitionPlace & Readonly<{ epoch: number }>, workerId: string): Promise<void>;
  /** Notes another number of lanes. False where the partition has another epoch by now. */
  noteSlices(won: PartitionState, slices: number): Promise<boolean>;

  /** A new session; the caller ends it. */
  session(): OwnerSession;
  /** Aborts what is open in these sessions, of any process. */
  endSessions(ids: readonly Binary[]): Promise<void>;

  /** The lowest offset of the partition's lanes; undefined where it has none. */
  lowestOffset(place: PartitionPlace): Promise<number | undefined>;
  /**
   * Moves a lane to the partition's epoch, and to `offset` where one is given; a lane that is not there begins at `first`.
   * Undefined where it is in a higher epoch. Fails, instead of waiting for long, where a transaction has the lane.
   */
  fence(
    won: PartitionState,
    slice: number,
    to: Readonly<{ offset: number } | { first: number }>,
  ): Promise<LaneState | undefined>;

  notes(route: string): Promise<RouteNotes>;

  /** All partitions of a route; of every route where none is given. */
  partitionsOf(route?: string): Promise<readonly PartitionState[]>;
  /**
   * Takes a partition from its owner: one epoch higher, without an owner. Undefined where there is no such partition.
   * @param captureEpoch from now on it is this one's, or a newer one's
   */
  expel(place: PartitionPlace, captureEpoch?: number): Promise<PartitionState | undefined>;
  /** Moves all lanes of a partition to its epoch. */
  fenceAll(expelled: PartitionState): Promise<void>;
}
