import { Long, Timestamp } from "bson";
import { faultPoint } from "#base/flow/fault.ts";
import type { StateSession } from "#base/flow/stateTx.ts";
import { type Counts, NO_COUNTS } from "#base/flow/types.ts";
import type { Collection } from "#io/mongo/connect.ts";
import { translated } from "#io/mongo/errors.ts";
import { FREE } from "#io/mongo/lease.ts";
import { hasServerCode, ServerCode } from "#io/mongo/serverCodes.ts";
import { LaneSession } from "#io/mongo/session.ts";
import type { StateDb } from "#io/state/stateDb.ts";
import { isOpen } from "./drops.ts";
import { type LaneRecord, laneId, type PartitionRecord, partitionId, type RunRecord } from "./laneRecords.ts";

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

/** Who owns partitions, and where that is noted. */
export type OwnerOptions = Readonly<{
  state: StateDb;
  workerId: string;
  /** How long a silent owner keeps its partitions, ms, by the server's clock. */
  leaseMs: number;
  /** False on a standalone target: no sessions, no transactions. */
  transactional: boolean;
}>;

const toLane = (record: LaneRecord): LaneState => ({
  id: record._id,
  route: record.route,
  topic: record.topic,
  partition: record.partition,
  slice: record.slice,
  epoch: Number(record.epoch),
  offset: Number(record.offset),
  at: record.at.toBigInt(),
  logTimeMs: record.logTime.getTime(),
  counts: Object.fromEntries(Object.entries(record.counts).map(([name, n]) => [name, Number(n)])) as Counts,
});

const longs = (counts: Counts): LaneRecord["counts"] =>
  Object.fromEntries(Object.entries(counts).map(([name, n]) => [name, Long.fromNumber(n)])) as LaneRecord["counts"];

/** Takes partitions over, and gives them back. Every method throws FERRY_MONGO_*. */
export class Claims {
  readonly #options: OwnerOptions;
  readonly #partitions: Collection<PartitionRecord>;
  readonly #lanes: Collection<LaneRecord>;
  readonly #runs: Collection<RunRecord>;

  constructor(options: OwnerOptions) {
    this.#options = options;
    const { state } = options;
    this.#partitions = state.collection("partitions");
    this.#lanes = state.collection("lanes");
    this.#runs = state.collection("runs");
  }

  /**
   * Takes a free or expired partition over: ends the former owner's sessions (an orphaned transaction would hold the lane
   * for a minute otherwise), raises the epoch, then moves every lane to it and reads its position in the same step.
   * Undefined if another worker was faster.
   */
  async claim(route: string, partition: number, wantedSlices: number, firstOffset: number): Promise<Claim | undefined> {
    const { state, workerId, leaseMs, transactional } = this.#options;
    const { client } = state;
    const _id = partitionId(route, partition);
    return translated(`claiming ${_id}`, async () => {
      const former = await this.#partitions.findOne({ _id, $expr: FREE });
      if (former === null) return undefined;
      if (former.owner !== null && former.sessions.length > 0) {
        await client.db("admin").command({ killSessions: former.sessions.map((id) => ({ id })) });
      }
      // At most so many lanes; what is too many is never used.
      const sessions = Array.from(
        { length: transactional ? Math.max(former.slices, wantedSlices) : 0 },
        () => new LaneSession(client),
      );
      const won = await this.#partitions.findOneAndUpdate(
        { _id, epoch: former.epoch, slices: former.slices, $expr: FREE },
        [
          {
            $set: {
              owner: workerId,
              epoch: { $add: ["$epoch", Long.ONE] },
              expiresAt: { $add: ["$$NOW", leaseMs] },
              sessions: sessions.map(({ id }) => id),
            },
          },
        ],
        { returnDocument: "after" },
      );
      if (won === null) {
        await Promise.all(sessions.map((session) => session.end()));
        return undefined;
      }
      faultPoint("mid-claim");
      const epoch = Number(won.epoch);
      const lanes = await this.#takeLanes(won, wantedSlices, firstOffset);
      if (lanes === undefined) return this.#giveBack(route, partition, epoch, sessions);
      // Looked at after the lanes are ours: a drop that began before is seen here, one that begins later fences them.
      const run = await this.#runs.findOne({ _id: route });
      if (!isOpen(run, partition)) return this.#giveBack(route, partition, epoch, sessions);
      return {
        route,
        topic: won.topic,
        partition,
        epoch,
        lanes,
        sessions,
        topicId: won.topicId,
        copyAt: won.copyAt?.toBigInt() ?? 0n,
        dropAt: run?.dropAt?.toBigInt() ?? 0n,
        droppingAt: run?.dropping?.at.toBigInt() ?? 0n,
        switchedAt: run?.switched?.at.toBigInt(),
      };
    });
  }

  /**
   * Takes the lanes over as they stand. Keys are spread over another number of lanes only while all stand at one position, and
   * that is looked at when no former owner can move them any more. Undefined where another worker was faster.
   */
  async #takeLanes(
    won: PartitionRecord,
    wanted: number,
    firstOffset: number,
  ): Promise<readonly LaneState[] | undefined> {
    const { route, partition, slices } = won;
    const isNew = (await this.#lanes.countDocuments({ route, partition }, { limit: 1 })) === 0;
    const lanes = await this.#fence(won, isNew ? wanted : slices, firstOffset);
    if (lanes === undefined || slices === wanted) return lanes;
    const [offset, ...others] = new Set(lanes.map((lane) => lane.offset));
    if (offset === undefined || others.length > 0) return lanes;
    const spread = await this.#fence(won, wanted, firstOffset, offset);
    const noted = await this.#partitions.updateOne({ _id: won._id, epoch: won.epoch }, { $set: { slices: wanted } });
    return noted.matchedCount === 1 ? spread : undefined;
  }

  /** Moves lanes to the claim's epoch, never to a lower one, and to a position where one is given. Undefined when another worker was faster. */
  async #fence(
    won: PartitionRecord,
    slices: number,
    firstOffset: number,
    place?: number,
  ): Promise<readonly LaneState[] | undefined> {
    const lanes: LaneState[] = [];
    for (let slice = 0; slice < slices; slice++) {
      const lane = await this.#fenceOne(won, slice, firstOffset, place);
      if (lane === undefined) return undefined;
      lanes.push(lane);
    }
    return lanes;
  }

  async #fenceOne(
    { route, topic, partition, epoch }: PartitionRecord,
    slice: number,
    firstOffset: number,
    place: number | undefined,
  ): Promise<LaneState | undefined> {
    const _id = laneId(route, partition, slice);
    const fresh = {
      ...{
        route,
        topic,
        partition,
        slice,
        at: Timestamp.fromBits(0, 0),
        logTime: new Date(0),
        counts: longs(NO_COUNTS),
      },
      ...(place === undefined ? { offset: Long.fromNumber(await this.#startOf(route, partition, firstOffset)) } : {}),
    };
    const moved = { epoch, ...(place === undefined ? {} : { offset: Long.fromNumber(place) }) };
    try {
      const record = await this.#lanes.findOneAndUpdate(
        { _id, epoch: { $lte: epoch } },
        { $set: moved, $currentDate: { updatedAt: true }, $setOnInsert: fresh },
        { upsert: true, returnDocument: "after" },
      );
      return record === null ? undefined : toLane(record);
    } catch (error) {
      // The lane is there, in a higher epoch.
      if (hasServerCode(error, ServerCode.DuplicateKey)) return undefined;
      throw error;
    }
  }

  /** A lane added later starts where its neighbours stand, not at the beginning of the log. */
  async #startOf(route: string, partition: number, firstOffset: number): Promise<number> {
    const neighbour = await this.#lanes.findOne({ route, partition }, { sort: { offset: 1 } });
    return neighbour === null ? firstOffset : Number(neighbour.offset);
  }

  /** Gives a partition back. A no-op if it was taken over meanwhile. */
  async release({ route, partition, epoch, sessions }: Claim): Promise<void> {
    await translated(`releasing ${route}/${partition}`, () => this.#giveBack(route, partition, epoch, sessions));
  }

  async #giveBack(
    route: string,
    partition: number,
    epoch: number,
    sessions: readonly StateSession[],
  ): Promise<undefined> {
    await Promise.all(sessions.map((session) => session.end()));
    await this.#partitions.updateOne(
      { _id: partitionId(route, partition), epoch: Long.fromNumber(epoch), owner: this.#options.workerId },
      { $set: { owner: null, expiresAt: null, sessions: [] } },
    );
    return undefined;
  }
}
