import { FerryError } from "#base/errors/ferryError.ts";
import { faultPoint } from "#base/flow/fault.ts";
import type { StateSession } from "#base/flow/stateTx.ts";
import type { Counts } from "#base/flow/types.ts";
import type { ClaimRecords, Lease, PartitionState, RouteNotes } from "./claimRecords.ts";

/** A lane as its owner knows it. `offset` is the next one to read. */
export type LaneState = Readonly<{
  id: string;
  route: string;
  topic: string;
  partition: number;
  slice: number;
  epoch: number;
  offset: number;
  at: bigint;
  logTimeMs: number;
  counts: Counts;
}>;

/** A partition that this worker owns: one session and one lane per slice. */
export type Claim = Readonly<{
  route: string;
  topic: string;
  partition: number;
  epoch: number;
  lanes: readonly LaneState[];
  sessions: readonly StateSession[];
  /** Kafka's id of the topic that the positions belong to; undefined in records of an earlier version. */
  topicId: string | undefined;
  copyAt: bigint;
  /** clusterTime of the newest applied drop of the namespace, 0n where there was none: what is older does not count. */
  dropAt: bigint;
  /** clusterTime of the drop that a former owner began in this partition and did not finish; 0n where there is none. */
  droppingAt: bigint;
  /** clusterTime of the fence behind which services write to the target; undefined where they do not. What is later does not count. */
  switchedAt: bigint | undefined;
}>;

export type ClaimsDeps = Lease &
  Readonly<{
    records: ClaimRecords;
    /** False on a standalone target: no sessions, no transactions. */
    transactional: boolean;
  }>;

/** Sessions that a record names at most: of its owner, and of the owners before it. */
const MOST_SESSIONS = 64;

/** May this partition be claimed while its route stands like this? A drop's own partition must continue after a crash. */
const isOpen = ({ dropping }: RouteNotes, partition: number): boolean =>
  dropping === undefined || dropping.partition === partition;

/**
 * Takes partitions over, and gives them back. Ownership by lease is only about progress; safety comes from the epoch, which
 * every write of a lane must match (`laneCommit.ts`). Every method throws FERRY_MONGO_*.
 */
export class Claims {
  readonly #deps: ClaimsDeps;

  constructor(deps: ClaimsDeps) {
    this.#deps = deps;
  }

  /**
   * Takes a free or expired partition over: ends the former owner's sessions (an orphaned transaction would hold the lane
   * for a minute otherwise), raises the epoch, then moves every lane to it and reads its position in the same step.
   * Undefined if another worker was faster.
   */
  async claim(route: string, partition: number, wantedSlices: number, firstOffset: number): Promise<Claim | undefined> {
    const { records, transactional } = this.#deps;
    const former = await records.free({ route, partition });
    if (former === undefined) return undefined;
    this.#requireInherited(former);
    // Noted until the claim is released: before its lanes are fenced a former owner may begin another transaction, and hold one.
    const left = former.owner === null ? [] : former.sessions;
    if (left.length > 0) await records.endSessions(left);
    // At most so many lanes; what is too many is never used.
    const count = transactional ? Math.max(former.slices, wantedSlices) : 0;
    const sessions = Array.from({ length: count }, () => records.session());
    const ids = sessions.map(({ id }) => id);
    const won = await records.take(former, this.#deps, [...ids, ...left].slice(0, MOST_SESSIONS));
    if (won === undefined) {
      await Promise.all(sessions.map((session) => session.end()));
      return undefined;
    }
    faultPoint("mid-claim");
    const lanes = await this.#takeLanes(won, wantedSlices, firstOffset);
    const isMine = lanes !== undefined && (await this.#wasSeen(won, lanes));
    return this.#complete(won, sessions, isMine ? lanes : undefined);
  }

  /**
   * Did the capture's next owner, where there is one by now, see these lanes when it looked where they stand? One that was not
   * there yet was fenced by nothing, and would move on from the place at which the next owner's log begins.
   */
  async #wasSeen(won: PartitionState, lanes: readonly LaneState[]): Promise<boolean> {
    if (this.#deps.captureEpoch === undefined) return true; // Kafka's offsets mean the same to every owner
    return this.#deps.records.noteSlices(won, lanes.length); // only while no other has taken the partition
  }

  /**
   * A partition that a former owner of the capture has begun after its successor's look at the lanes: where they stand is no place
   * in the successor's log. @throws FERRY_FENCED; the run ends with it, and looks again when it is started again
   */
  #requireInherited({ route, partition, captureEpoch: its }: PartitionState): void {
    const { captureEpoch: mine } = this.#deps;
    if (mine !== undefined && its !== undefined && its < mine)
      throw new FerryError("FERRY_FENCED", `${route}/${partition} was begun by a former owner of the capture`);
  }

  /** Undefined, with the partition released, where it may not be worked on now. */
  async #complete(
    { route, topic, partition, epoch, topicId, copyAt }: PartitionState,
    sessions: readonly StateSession[],
    lanes: readonly LaneState[] | undefined,
  ): Promise<Claim | undefined> {
    // Looked at after the lanes are ours: a drop that began before is seen here, one that begins later fences them.
    const notes = lanes && (await this.#deps.records.notes(route));
    if (lanes === undefined || notes === undefined || !isOpen(notes, partition)) {
      await this.#giveBack({ route, partition, epoch, sessions });
      return undefined;
    }
    const { dropAt, dropping, switchedAt } = notes;
    const droppingAt = dropping?.at ?? 0n;
    return { route, topic, partition, epoch, lanes, sessions, topicId, copyAt, dropAt, droppingAt, switchedAt };
  }

  /**
   * Takes the lanes over as they stand. Keys are spread over another number of lanes only while all stand at one position, and
   * that is looked at when no former owner can move them any more. Undefined where another worker was faster.
   */
  async #takeLanes(
    won: PartitionState,
    wanted: number,
    firstOffset: number,
  ): Promise<readonly LaneState[] | undefined> {
    const { records } = this.#deps;
    // As many as the record says, also where none is there yet: the former owner may be about to begin with these.
    const lanes = await this.#fence(won, won.slices, async () => ({
      // A lane added later starts where its neighbours stand, not at the beginning of the log.
      first: (await records.lowestOffset(won)) ?? firstOffset,
    }));
    if (lanes === undefined || won.slices === wanted) return lanes;
    const [offset, ...others] = new Set(lanes.map((lane) => lane.offset));
    if (offset === undefined || others.length > 0) return lanes;
    const spread = await this.#fence(won, wanted, async () => ({ offset }));
    return (await records.noteSlices(won, wanted)) ? spread : undefined;
  }

  /** Moves lanes to the claim's epoch, never to a lower one. Undefined when another worker was faster. */
  async #fence(
    won: PartitionState,
    slices: number,
    to: () => Promise<Parameters<ClaimRecords["fence"]>[2]>,
  ): Promise<readonly LaneState[] | undefined> {
    const lanes: LaneState[] = [];
    for (let slice = 0; slice < slices; slice++) {
      const lane = await this.#deps.records.fence(won, slice, await to());
      if (lane === undefined) return undefined;
      lanes.push(lane);
    }
    return lanes;
  }

  /**
   * Renews the leases on the partitions (`route/partition`) that this worker works on, and on no others: one that it owns by the
   * record only (the target went away in the middle of a claim or a release) must run out.
   */
  async renew(claimed: readonly string[]): Promise<void> {
    await this.#deps.records.renew(claimed, this.#deps);
  }

  /** Gives a partition back. A no-op if it was taken over meanwhile. */
  release(claim: Claim): Promise<void> {
    return this.#giveBack(claim);
  }

  async #giveBack(claim: Pick<Claim, "route" | "partition" | "epoch" | "sessions">): Promise<void> {
    await Promise.all(claim.sessions.map((session) => session.end()));
    await this.#deps.records.giveBack(claim, this.#deps.workerId);
  }
}
