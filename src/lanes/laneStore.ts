import { type Binary, Long, Timestamp } from "bson";
import type { ConflictPolicy } from "#config/routes.ts";
import type { FerryError } from "#errors/ferryError.ts";
import { faultPoint } from "#flow/fault.ts";
import { type Counts, NO_COUNTS } from "#flow/types.ts";
import type { ClientSession, Collection, Db, MongoClient } from "#mongo/connect.ts";
import { translated } from "#mongo/errors.ts";
import { laneSession } from "#mongo/session.ts";
import { isOpen } from "./drops.ts";
import {
  type Beginning,
  type LaneRecord,
  laneId,
  type PartitionRecord,
  partitionId,
  type Rules,
  type RunRecord,
  type WorkerRecord,
  type WorkerReport,
} from "./records.ts";

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
  sessions: readonly ClientSession[];
  /** Kafka's id of the topic that the positions belong to; undefined in records of an earlier version. */
  topicId: string | undefined;
  copyAt: bigint;
  /** clusterTime of the newest applied drop of the namespace, 0n where there was none: what is older does not count. */
  dropAt: bigint;
  /** clusterTime of the drop that a former owner began in this partition and did not finish; 0n where there is none. */
  droppingAt: bigint;
}>;

/** Who is alive and who owns what, as the server's clock sees it. `owner` is null for a free or expired partition. */
export type Ownership = Readonly<{
  workers: readonly string[];
  partitions: readonly Readonly<{ route: string; partition: number; owner: string | null; epoch: number }>[];
}>;

export type LaneStoreOptions = Readonly<{
  client: MongoClient;
  stateDb: string;
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

/** An owner whose lease has passed, or none: by the server's clock, so that workers' clocks do not matter. */
const FREE = { $or: [{ $eq: ["$owner", null] }, { $lt: ["$expiresAt", "$$NOW"] }] };

/**
 * The lane records in ferry's database on the target: positions, epochs, leases, who is alive. Ownership by lease is only
 * about progress; safety comes from the epoch, which every write of a lane must match (see `laneTransaction.ts`).
 * Every method throws FERRY_MONGO_*.
 */
export class LaneStore {
  readonly #options: LaneStoreOptions;
  readonly #db: Db;
  readonly partitions: Collection<PartitionRecord>;
  readonly lanes: Collection<LaneRecord>;
  readonly workers: Collection<WorkerRecord>;
  readonly runs: Collection<RunRecord>;

  constructor(options: LaneStoreOptions) {
    this.#options = options;
    this.#db = options.client.db(options.stateDb);
    this.partitions = this.#db.collection("partitions");
    this.lanes = this.#db.collection("lanes");
    this.workers = this.#db.collection("workers");
    this.runs = this.#db.collection("runs");
  }

  /** Creates the collections: a transaction must never be the one to create them. */
  async prepare(): Promise<void> {
    await translated("preparing ferry's database", async () => {
      const existing = new Set((await this.#db.listCollections({}, { nameOnly: true }).toArray()).map((c) => c.name));
      for (const name of [
        "partitions",
        "lanes",
        "workers",
        "runs",
        "deadLetters",
        "deadLetterChunks",
        "drift",
        "touched",
        "settled",
        "conflicts",
        "probes",
      ]) {
        if (!existing.has(name)) await this.#db.createCollection(name).catch(ignoreExists);
      }
    });
  }

  /** Says that this worker lives and wants its share. */
  async announce(report: WorkerReport, host: string, pid: number, startedAt: Date, version: string): Promise<void> {
    await translated("worker heartbeat", () =>
      this.workers.updateOne(
        { _id: this.#options.workerId },
        [{ $set: { host, pid, startedAt, version, report: { $literal: report }, seenAt: "$$NOW" } }],
        { upsert: true },
      ),
    );
  }

  /**
   * Renews the leases on the partitions that this worker works on, and on no others: one that it owns by the record only
   * (the target went away in the middle of a claim or a release) must run out.
   */
  async renew(claimed: readonly string[]): Promise<void> {
    const { workerId, leaseMs } = this.#options;
    await translated("renewing leases", () =>
      this.partitions.updateMany({ _id: { $in: [...claimed] }, owner: workerId }, [
        { $set: { expiresAt: { $add: ["$$NOW", leaseMs] } } },
      ]),
    );
  }

  async ownership(): Promise<Ownership> {
    const { leaseMs } = this.#options;
    return translated("reading ownership", async () => {
      const alive = { $expr: { $gt: ["$seenAt", { $subtract: ["$$NOW", leaseMs] }] } };
      const [workers, partitions] = await Promise.all([
        this.workers.find(alive, { projection: { _id: 1 } }).toArray(),
        this.partitions
          .aggregate<{ route: string; partition: number; owner: string | null; epoch: Long }>([
            { $project: { _id: 0, route: 1, partition: 1, epoch: 1, owner: { $cond: [FREE, null, "$owner"] } } },
          ])
          .toArray(),
      ]);
      return {
        workers: workers.map((w) => w._id).sort(),
        partitions: partitions.map((p) => ({ ...p, epoch: Number(p.epoch) })),
      };
    });
  }

  /** Makes sure that a record exists for each partition. Idempotent. */
  async register(
    { name: route, from: topic }: Readonly<{ name: string; from: string }>,
    topicId: string,
    partitions: number,
    slices: number,
  ): Promise<void> {
    await translated(`registering ${route}`, async () => {
      const operations = Array.from({ length: partitions }, (_, partition) => ({
        updateOne: {
          filter: { _id: partitionId(route, partition) },
          update: {
            $setOnInsert: {
              route,
              topic,
              topicId,
              partition,
              slices,
              epoch: Long.ZERO,
              owner: null,
              expiresAt: null,
              sessions: [],
            },
          },
          upsert: true,
        },
      }));
      if (operations.length > 0) await this.partitions.bulkWrite(operations, { ordered: false });
    });
  }

  /**
   * Takes a free or expired partition over: ends the former owner's sessions (an orphaned transaction would hold the lane
   * for a minute otherwise), raises the epoch, then moves every lane to it and reads its position in the same step.
   * Undefined when somebody else was faster.
   */
  async claim(route: string, partition: number, wantedSlices: number, firstOffset: number): Promise<Claim | undefined> {
    const { client, workerId, leaseMs, transactional } = this.#options;
    const _id = partitionId(route, partition);
    return translated(`claiming ${_id}`, async () => {
      const former = await this.partitions.findOne({ _id, $expr: FREE });
      if (former === null) return undefined;
      if (former.owner !== null && former.sessions.length > 0) {
        await client.db("admin").command({ killSessions: former.sessions.map((id) => ({ id })) });
      }
      const slices = await this.#slices(route, partition, former.slices, wantedSlices);
      const sessions = transactional ? Array.from({ length: slices }, () => laneSession(client)) : [];
      const ids = sessions.map((session) => session.id?.["id"] as Binary);
      const won = await this.partitions.findOneAndUpdate(
        { _id, epoch: former.epoch, $expr: FREE },
        [
          {
            $set: {
              owner: workerId,
              epoch: { $add: ["$epoch", Long.ONE] },
              slices,
              expiresAt: { $add: ["$$NOW", leaseMs] },
              sessions: ids,
            },
          },
        ],
        { returnDocument: "after" },
      );
      if (won === null) {
        await Promise.all(sessions.map((session) => session.endSession()));
        return undefined;
      }
      faultPoint("mid-claim");
      const epoch = Number(won.epoch);
      const lanes: LaneState[] = [];
      for (let slice = 0; slice < slices; slice++) {
        const lane = await this.#fence(won, slice, epoch, firstOffset);
        if (lane === undefined) return this.#giveBack(route, partition, epoch, sessions);
        lanes.push(lane);
      }
      // Looked at after the lanes are ours: a drop that began before is seen here, one that begins later fences them.
      const run = await this.runs.findOne({ _id: route });
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
      };
    });
  }

  /** Keys may only be spread anew while every lane of the partition stands at one position. */
  async #slices(route: string, partition: number, current: number, wanted: number): Promise<number> {
    if (current === wanted) return current;
    const lanes = await this.lanes.find({ route, partition }).toArray();
    const used = lanes.filter((lane) => lane.slice < current);
    const level = new Set(used.map((lane) => String(lane.offset)));
    if (level.size > 1) return current;
    const [offset] = used.map((lane) => lane.offset);
    if (offset !== undefined) await this.lanes.updateMany({ route, partition }, { $set: { offset } });
    return wanted;
  }

  /** Moves a lane to the claim's epoch, never to a lower one: undefined when somebody was faster. */
  async #fence(
    { route, topic, partition }: PartitionRecord,
    slice: number,
    epoch: number,
    firstOffset: number,
  ): Promise<LaneState | undefined> {
    const _id = laneId(route, partition, slice);
    const fresh = {
      route,
      topic,
      partition,
      slice,
      offset: Long.fromNumber(await this.#startOf(route, partition, firstOffset)),
      at: Timestamp.fromBits(0, 0),
      logTime: new Date(0),
      counts: longs(NO_COUNTS),
    };
    try {
      const record = await this.lanes.findOneAndUpdate(
        { _id, epoch: { $lte: Long.fromNumber(epoch) } },
        { $set: { epoch: Long.fromNumber(epoch) }, $currentDate: { updatedAt: true }, $setOnInsert: fresh },
        { upsert: true, returnDocument: "after" },
      );
      return record === null ? undefined : toLane(record);
    } catch (error) {
      // DuplicateKey: the lane is there, in a higher epoch
      if ((error as { code?: number }).code === 11000) return undefined;
      throw error;
    }
  }

  /** A lane added later starts where its neighbours stand, not at the beginning of the log. */
  async #startOf(route: string, partition: number, firstOffset: number): Promise<number> {
    const neighbour = await this.lanes.findOne({ route, partition }, { sort: { offset: 1 } });
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
    sessions: readonly ClientSession[],
  ): Promise<undefined> {
    await Promise.all(sessions.map((session) => session.endSession()));
    await this.partitions.updateOne(
      { _id: partitionId(route, partition), epoch: Long.fromNumber(epoch), owner: this.#options.workerId },
      { $set: { owner: null, expiresAt: null, sessions: [] } },
    );
    return undefined;
  }

  /** Leaves: other workers see the place at once. */
  async leave(): Promise<void> {
    await translated("leaving", () => this.workers.deleteOne({ _id: this.#options.workerId }));
  }

  /** Notes the copy's own time of a partition; the first one stays until an accepted new copy replaces it. */
  async noteCopy(route: string, partition: number, copyAt: bigint): Promise<void> {
    await translated("noting the copy's time", () =>
      this.partitions.updateOne({ _id: partitionId(route, partition) }, { $set: { copyAt: new Timestamp(copyAt) } }),
    );
  }

  /** Stops a route's run for every worker, with the named reason, until a worker that is started anew has looked at it. */
  async halt(route: string, error: FerryError): Promise<void> {
    await translated(`halting ${route}`, () =>
      this.runs.updateOne(
        { _id: route },
        { $set: { halted: { code: error.code, detail: error.detail, at: new Date(), by: this.#options.workerId } } },
        { upsert: true },
      ),
    );
  }

  /** Lifts a halt. What caused it is met again where it still is. */
  async lift(route: string): Promise<void> {
    await translated(`lifting the halt of ${route}`, () =>
      this.runs.updateOne({ _id: route }, { $unset: { halted: "" } }),
    );
  }

  async run(route: string): Promise<RunRecord | undefined> {
    return (await translated(`reading the run of ${route}`, () => this.runs.findOne({ _id: route }))) ?? undefined;
  }

  /** Notes how a route begins; the first one to say so counts. Answers with what counts. */
  async begin(route: string, begun: Beginning): Promise<Beginning> {
    return translated(`beginning ${route}`, async () => {
      await this.runs
        .updateOne({ _id: route, begun: { $exists: false } }, { $set: { begun } }, { upsert: true })
        .catch((error: { code?: number }) => {
          if (error.code !== 11000) throw error; // somebody else was faster
        });
      return (await this.runs.findOne({ _id: route }))?.begun ?? begun;
    });
  }

  /** Notes the rules that documents are applied by from now on. Safe for several partitions at once: they note the same. */
  async noteRules(route: string, rules: Rules): Promise<void> {
    await translated(`noting the rules of ${route}`, () =>
      this.runs.updateOne({ _id: route }, { $set: { rules } }, { upsert: true }),
    );
  }

  /** The documents that were there before the route began are marked with this number; the first one to say so counts. */
  async seeded(route: string, seed: number): Promise<void> {
    await translated(`beginning ${route}`, () =>
      this.runs.updateOne(
        { _id: route, "begun.seeding": true },
        { $set: { "begun.seeding": false, "begun.seed": seed } },
      ),
    );
  }

  async changePolicy(route: string, policy: ConflictPolicy): Promise<void> {
    await translated(`noting the policy of ${route}`, () =>
      this.runs.updateOne({ _id: route }, { $set: { "begun.policy": policy } }),
    );
  }

  /** Writes of others were missed: marks are not complete any more. */
  async unsure(route: string): Promise<void> {
    await translated(`noting that ${route} missed writes`, () =>
      this.runs.updateOne({ _id: route }, { $set: { "begun.unsure": true }, $unset: { watched: "" } }),
    );
  }

  /** Every write of others on the target is marked up to this token. Later ones win, whoever says so. */
  async watched(route: string, token: string): Promise<void> {
    await translated(`noting how far ${route} is watched`, () =>
      this.runs.updateOne({ _id: route }, { $max: { watched: token } }),
    );
  }

  /** Where every lane stands. */
  async positions(): Promise<Readonly<{ topic: string; offset: number }>[]> {
    const all = await translated("reading the lanes' positions", () =>
      this.lanes.find({}, { projection: { topic: 1, offset: 1 } }).toArray(),
    );
    return all.map(({ topic, offset }) => ({ topic, offset: Number(offset) }));
  }

  async readRuns(): Promise<ReadonlyMap<string, RunRecord>> {
    const all = await translated("reading runs", () => this.runs.find().toArray());
    return new Map(all.map((run) => [run._id, run]));
  }
}

const ignoreExists = (error: unknown): void => {
  // NamespaceExists: two workers prepared at the same time
  if ((error as { code?: number }).code !== 48) throw error;
};
