import { type Binary, Long, Timestamp } from "bson";
import { type Counts, NO_COUNTS } from "#base/flow/types.ts";
import type { Collection, Document } from "#io/mongo/connect.ts";
import { translated } from "#io/mongo/errors.ts";
import { FREE } from "#io/mongo/lease.ts";
import { hasServerCode, ServerCode } from "#io/mongo/serverCodes.ts";
import { LaneSession } from "#io/mongo/session.ts";
import type { StateDb } from "#io/state/stateDb.ts";
import type { ClaimRecords, Lease, PartitionPlace, PartitionState, RouteNotes } from "./claimRecords.ts";
import type { LaneState } from "./claims.ts";
import { type LaneRecord, laneId, type PartitionRecord, partitionId, type RunRecord } from "./laneRecords.ts";

const toState = ({ epoch, copyAt, topicId, captureEpoch, ...record }: PartitionRecord): PartitionState => ({
  ...record,
  topicId,
  captureEpoch: captureEpoch === undefined ? undefined : Number(captureEpoch),
  epoch: Number(epoch),
  copyAt: copyAt?.toBigInt() ?? 0n,
});

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

/** As the record of a lane that has applied nothing. */
const fresh = (
  { route, topic, partition }: PartitionState,
  slice: number,
): Omit<LaneRecord, "_id" | "epoch" | "offset" | "updatedAt"> => ({
  ...{ route, topic, partition, slice },
  at: Timestamp.fromBits(0, 0),
  logTime: new Date(0),
  counts: longs(NO_COUNTS),
});

/** A transaction of a former owner may hold a lane: it is not waited for until the server ends it, but ended by the next try, ms. */
const FENCE_MS = 2000;

/** No newer owner's of the capture, in a filter. */
const upTo = (captureEpoch: number): Document => ({
  $or: [{ captureEpoch: { $exists: false } }, { captureEpoch: { $lte: Long.fromNumber(captureEpoch) } }],
});

const epochOf = (captureEpoch: number): Pick<PartitionRecord, "captureEpoch"> => ({
  captureEpoch: Long.fromNumber(captureEpoch),
});

const idOf = ({ route, partition }: PartitionPlace): string => partitionId(route, partition);

/** What ownership consists of, in ferry's database; leases run by the server's clock. Every method throws FERRY_MONGO_*. */
export class ClaimStore implements ClaimRecords {
  readonly #state: StateDb;
  readonly #partitions: Collection<PartitionRecord>;
  readonly #lanes: Collection<LaneRecord>;
  readonly #runs: Collection<RunRecord>;

  constructor(state: StateDb) {
    this.#state = state;
    this.#partitions = state.collection("partitions");
    this.#lanes = state.collection("lanes");
    this.#runs = state.collection("runs");
  }

  async free(place: PartitionPlace): Promise<PartitionState | undefined> {
    const _id = idOf(place);
    const found = await translated(`claiming ${_id}`, () => this.#partitions.findOne({ _id, $expr: FREE }));
    return found === null ? undefined : toState(found);
  }

  async take(
    former: PartitionState,
    { workerId, leaseMs, captureEpoch }: Lease,
    sessions: readonly Binary[],
  ): Promise<PartitionState | undefined> {
    const _id = idOf(former);
    const [notNewer, mine] = captureEpoch === undefined ? [{}, {}] : [upTo(captureEpoch), epochOf(captureEpoch)];
    const won = await translated(`claiming ${_id}`, () =>
      this.#partitions.findOneAndUpdate(
        { _id, epoch: Long.fromNumber(former.epoch), slices: former.slices, $expr: FREE, ...notNewer },
        [
          {
            $set: {
              owner: workerId,
              epoch: { $add: ["$epoch", Long.ONE] },
              expiresAt: { $add: ["$$NOW", leaseMs] },
              sessions: [...sessions],
              ...mine,
            },
          },
        ],
        { returnDocument: "after" },
      ),
    );
    return won === null ? undefined : toState(won);
  }

  async renew(partitions: readonly string[], { workerId, leaseMs }: Lease): Promise<void> {
    await translated("renewing leases", () =>
      this.#partitions.updateMany({ _id: { $in: [...partitions] }, owner: workerId }, [
        { $set: { expiresAt: { $add: ["$$NOW", leaseMs] } } },
      ]),
    );
  }

  async giveBack(place: PartitionPlace & Readonly<{ epoch: number }>, workerId: string): Promise<void> {
    const _id = idOf(place);
    await translated(`releasing ${_id}`, () =>
      this.#partitions.updateOne(
        { _id, epoch: Long.fromNumber(place.epoch), owner: workerId },
        { $set: { owner: null, expiresAt: null, sessions: [] } },
      ),
    );
  }

  async noteSlices(won: PartitionState, slices: number): Promise<boolean> {
    const _id = idOf(won);
    const { matchedCount } = await translated(`claiming ${_id}`, () =>
      this.#partitions.updateOne({ _id, epoch: Long.fromNumber(won.epoch) }, { $set: { slices } }),
    );
    return matchedCount === 1;
  }

  session(): LaneSession {
    return new LaneSession(this.#state.client);
  }

  async endSessions(ids: readonly Binary[]): Promise<void> {
    const command = { killSessions: ids.map((id) => ({ id })) };
    await translated("ending a former owner's sessions", () => this.#state.client.db("admin").command(command));
  }

  async lowestOffset({ route, partition }: PartitionPlace): Promise<number | undefined> {
    const lowest = await translated("reading the lanes", () =>
      this.#lanes.findOne({ route, partition }, { sort: { offset: 1 } }),
    );
    return lowest === null ? undefined : Number(lowest.offset);
  }

  async fence(
    won: PartitionState,
    slice: number,
    to: Readonly<{ offset: number } | { first: number }>,
  ): Promise<LaneState | undefined> {
    const _id = laneId(won.route, won.partition, slice);
    const epoch = Long.fromNumber(won.epoch);
    const [moved, first] =
      "offset" in to ? [{ offset: Long.fromNumber(to.offset) }, {}] : [{}, { offset: Long.fromNumber(to.first) }];
    return translated(`claiming lane ${_id}`, async () => {
      try {
        const record = await this.#lanes.findOneAndUpdate(
          { _id, epoch: { $lte: epoch } },
          {
            $set: { epoch, ...moved },
            $currentDate: { updatedAt: true },
            $setOnInsert: { ...fresh(won, slice), ...first },
          },
          { upsert: true, returnDocument: "after", maxTimeMS: FENCE_MS },
        );
        return record === null ? undefined : toLane(record);
      } catch (error) {
        // The lane is there, in a higher epoch.
        if (hasServerCode(error, ServerCode.DuplicateKey)) return undefined;
        throw error;
      }
    });
  }

  async notes(route: string): Promise<RouteNotes> {
    const run = await translated(`reading the run of ${route}`, () => this.#runs.findOne({ _id: route }));
    const { dropAt, dropping, switched } = run ?? {};
    return {
      dropAt: dropAt?.toBigInt() ?? 0n,
      dropping: dropping && { at: dropping.at.toBigInt(), partition: dropping.partition },
      switchedAt: switched?.at.toBigInt(),
    };
  }

  async partitionsOf(route?: string): Promise<readonly PartitionState[]> {
    const found = await translated(`reading the partitions of ${route ?? "all routes"}`, () =>
      this.#partitions.find(route === undefined ? {} : { route }).toArray(),
    );
    return found.map(toState);
  }

  async expel(place: PartitionPlace, captureEpoch?: number): Promise<PartitionState | undefined> {
    const _id = idOf(place);
    const mine = captureEpoch === undefined ? {} : { $max: epochOf(captureEpoch) };
    const expelled = await translated(`fencing ${_id}`, () =>
      this.#partitions.findOneAndUpdate(
        { _id },
        { $inc: { epoch: Long.ONE }, $set: { owner: null, expiresAt: null, sessions: [] }, ...mine },
        { returnDocument: "after" },
      ),
    );
    return expelled === null ? undefined : toState(expelled);
  }

  async fenceAll({ route, partition, epoch }: PartitionState): Promise<void> {
    await translated(`fencing the lanes of ${partitionId(route, partition)}`, () =>
      this.#lanes.updateMany({ route, partition }, { $set: { epoch: Long.fromNumber(epoch) } }),
    );
  }
}
