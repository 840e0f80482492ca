import { Long, Timestamp } from "bson";
import type { Collection } from "#io/mongo/connect.ts";
import { translated } from "#io/mongo/errors.ts";
import { FREE } from "#io/mongo/lease.ts";
import type { StateDb } from "#io/state/stateDb.ts";
import type { Lease } from "./claimRecords.ts";
import { type LaneRecord, type PartitionRecord, partitionId, type WorkerRecord } from "./laneRecords.ts";

/** `routes`: those that it carries; undefined, of a ferry that did not say so yet: all. */
export type LivingWorker = Readonly<{ id: string; routes: readonly string[] | undefined }>;

/** Who is alive and who owns what, as the server's clock sees it. `owner` is null for a free or expired partition. */
export type Ownership = Readonly<{
  workers: readonly LivingWorker[];
  partitions: readonly Readonly<{ route: string; partition: number; owner: string | null; epoch: number }>[];
}>;

export type LaneStoreOptions = Lease & Readonly<{ state: StateDb }>;

/** Who is alive, and which partitions there are for them, in ferry's database. Every method throws FERRY_MONGO_*. */
export class LaneStore {
  readonly #options: LaneStoreOptions;
  readonly partitions: Collection<PartitionRecord>;
  readonly lanes: Collection<LaneRecord>;
  readonly workers: Collection<WorkerRecord>;

  constructor(options: LaneStoreOptions) {
    this.#options = options;
    const { state } = options;
    this.partitions = state.collection("partitions");
    this.lanes = state.collection("lanes");
    this.workers = state.collection("workers");
  }

  /** Says that this worker lives and wants its share. */
  async announce(self: Omit<WorkerRecord, "_id" | "seenAt">): Promise<void> {
    await translated("worker heartbeat", () =>
      this.workers.updateOne(
        { _id: this.#options.workerId },
        [{ $replaceWith: { $mergeObjects: ["$$ROOT", { $literal: self }, { seenAt: "$$NOW" }] } }],
        { upsert: true },
      ),
    );
  }

  async ownership(): Promise<Ownership> {
    const { leaseMs } = this.#options;
    return translated("reading ownership", async () => {
      const alive = { $expr: { $gt: ["$seenAt", { $subtract: ["$$NOW", leaseMs] }] } };
      const [workers, partitions] = await Promise.all([
        this.workers.find(alive, { projection: { routes: 1 } }).toArray(),
        this.partitions
          .aggregate<{ route: string; partition: number; owner: string | null; epoch: Long }>([
            { $project: { _id: 0, route: 1, partition: 1, epoch: 1, owner: { $cond: [FREE, null, "$owner"] } } },
          ])
          .toArray(),
      ]);
      return {
        workers: workers.map(({ _id, routes }) => ({ id: _id, routes })),
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

  /** Leaves: other workers see it immediately. */
  async leave(): Promise<void> {
    await translated("leaving", () => this.workers.deleteOne({ _id: this.#options.workerId }));
  }

  /** Notes the copy's own time of a partition; the first one stays until an accepted new copy replaces it. */
  async noteCopy(route: string, partition: number, copyAt: bigint): Promise<void> {
    await translated("noting the copy's time", () =>
      this.partitions.updateOne({ _id: partitionId(route, partition) }, { $set: { copyAt: new Timestamp(copyAt) } }),
    );
  }
}
