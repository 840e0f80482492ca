import type { Claim, Claims } from "#apply/lanes/claims.ts";
import { partitionId } from "#apply/lanes/laneRecords.ts";
import type { LaneStore, Ownership } from "#apply/lanes/laneStore.ts";
import type { RunStore } from "#apply/lanes/runStore.ts";
import type { RunningPartition } from "#apply/pipeline/runningPartition.ts";
import { isFerry } from "#base/errors/ferryError.ts";
import { faultPoint } from "#base/flow/fault.ts";
import type { TaskGroup } from "#base/flow/taskGroup.ts";
import type { Logger } from "#base/observe/log.ts";
import type { LiveRoute, RouteTable } from "#route/table/routeTable.ts";
import type { Halts } from "./halts.ts";
import { fairShare } from "./ownership.ts";

export type HeldPartitionsDeps = Readonly<{
  workerId: string;
  store: LaneStore;
  claims: Claims;
  runs: RunStore;
  routes: RouteTable;
  halts: Halts;
  /** Lanes of a partition, by how many partitions its topic has. */
  slices: (partitionCount: number) => number;
  /** Sets a claimed partition to work. */
  open: (claim: Claim, live: LiveRoute) => Promise<RunningPartition>;
  logger: Logger;
  /** Ends active work immediately: its failures no longer matter. */
  hard: AbortSignal;
}>;

/** The partitions that a worker holds, each from its claim to its release: its fair share of those whose routes are not halted. */
export class HeldPartitions {
  readonly #deps: HeldPartitionsDeps;
  readonly #running = new Map<string, RunningPartition>();
  /** From the moment of their claim to their release; these leases are renewed. */
  readonly #claimed = new Set<string>();
  /** Known to be taken over; said once. */
  readonly #lost = new WeakSet<RunningPartition>();
  #leaving = false;
  #balanced = false;

  constructor(deps: HeldPartitionsDeps) {
    this.#deps = deps;
  }

  /** `route/partition` of all whose leases are to be renewed. */
  get claimed(): readonly string[] {
    return [...this.#claimed];
  }

  /** Those at work, by `route/partition`. */
  get running(): ReadonlyMap<string, RunningPartition> {
    return this.#running;
  }

  /** The lowest position of each partition at work, by topic: routes share one. */
  offsets(): ReadonlyMap<string, ReadonlyMap<number, number>> {
    const topics = new Map<string, Map<number, number>>();
    for (const partition of this.#running.values()) {
      const { claim } = partition;
      const offsets = topics.get(claim.topic) ?? new Map<number, number>();
      const lowest = Math.min(partition.offset(), offsets.get(claim.partition) ?? Number.POSITIVE_INFINITY);
      topics.set(claim.topic, offsets.set(claim.partition, lowest));
    }
    return topics;
  }

  /** Does it take no more? */
  get leaving(): boolean {
    return this.#leaving;
  }

  /** Has it claimed its share once? */
  get balanced(): boolean {
    return this.#balanced;
  }

  /** Claims what is missing of the share, and stops what is beyond it, halted or lost. @throws a halt, where no route is left */
  async balance(tasks: TaskGroup): Promise<void> {
    const { workerId, store, routes, halts } = this.#deps;
    const { halted, last, anyLeft } = await halts.look();
    for (const partition of this.#running.values()) if (halted.has(partition.claim.route)) partition.stop();
    if (last !== undefined && !anyLeft) throw last;
    const ownership = await store.ownership();
    const partitions = ownership.partitions.filter(
      ({ route, partition }) => !halted.has(route) && partition < (routes.live(route)?.partitions ?? 0),
    );
    this.#dropLost(partitions);
    const share = fairShare(workerId, { workers: ownership.workers, partitions }, this.#claimed);
    for (const { route, partition } of share.release) this.#running.get(partitionId(route, partition))?.stop();
    for (const { route, partition } of share.claim) {
      const live = routes.live(route);
      if (live !== undefined) await this.#claim(live, partition, tasks);
    }
    this.#balanced = true;
  }

  /** Takes no more, and lets go of all, each when what was read of it is applied and saved. */
  async leave(): Promise<void> {
    this.#leaving = true;
    // Out of the count first, so that the others take each partition as soon as it is released.
    await this.#deps.store.leave().catch(() => undefined); // otherwise seen to be gone by its silence
    for (const partition of this.#running.values()) partition.stop();
    await Promise.allSettled([...this.#running.values()].map((partition) => partition.done));
  }

  /** An idle lane writes nothing, so it would never learn from the fence that it was taken over: the records say it. */
  #dropLost(partitions: Ownership["partitions"]): void {
    for (const { route, partition, owner, epoch } of partitions) {
      const lane = partitionId(route, partition);
      const mine = this.#running.get(lane);
      if (mine === undefined || epoch <= mine.claim.epoch || this.#lost.has(mine)) continue;
      this.#lost.add(mine);
      const { logger, workerId } = this.#deps;
      const fields = { lane, epoch: mine.claim.epoch };
      // A rename or a drop that this worker applied raises the epoch without another owner.
      if (owner === null || owner === workerId) logger.info(fields, "partition is claimed again");
      else logger.warn(fields, "partition was taken over by another worker");
      mine.stop();
    }
  }

  async #claim(live: LiveRoute, partition: number, tasks: TaskGroup): Promise<void> {
    if (this.#leaving) return;
    const { claims, slices, logger } = this.#deps;
    const { name } = live.route;
    const lane = partitionId(name, partition);
    this.#claimed.add(lane);
    let claim: Claim | undefined;
    try {
      claim = await claims.claim(name, partition, slices(live.partitions), 0);
    } finally {
      if (claim === undefined) this.#claimed.delete(lane);
    }
    if (claim === undefined) return;
    const won = claim;
    logger.info({ lane, epoch: won.epoch }, "partition claimed");
    tasks.run(() => this.#work(won, live));
  }

  /** One claimed partition from its opening to its release. */
  async #work(claim: Claim, live: LiveRoute): Promise<void> {
    const { open, claims, logger } = this.#deps;
    const lane = partitionId(claim.route, claim.partition);
    try {
      const partition = await open(claim, live);
      this.#running.set(lane, partition);
      if (this.#leaving) partition.stop(); // it was being opened while the worker began to leave
      await partition.done;
      logger.info({ lane, epoch: claim.epoch, offset: partition.offset() }, "partition released; position saved");
    } catch (error) {
      await this.#afterFailure(claim, error);
    } finally {
      this.#running.delete(lane);
      faultPoint("before-release");
      await claims.release(claim).catch(() => undefined); // the lease expires
      this.#claimed.delete(lane);
    }
  }

  /** Fenced and passing failures give the partition back; unsafe ones halt the route for all; the rest ends this worker. */
  async #afterFailure(claim: Claim, error: unknown): Promise<void> {
    const { runs, halts, logger, hard } = this.#deps;
    if (hard.aborted) return;
    const lane = partitionId(claim.route, claim.partition);
    if (isFerry(error) && (error.entry.retry !== "never" || isFerry(error, "FERRY_FENCED"))) {
      logger.warn(
        { lane, epoch: claim.epoch, err: error.detail, code: error.code },
        "partition released after an error",
      );
      return;
    }
    if (!isFerry(error) || !error.entry.halts) throw error;
    await runs.halt(claim.route, error);
    await halts.goOn(error);
  }
}
