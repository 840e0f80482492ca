import { writeFile } from "node:fs/promises";
import { ConnectorStore } from "#capture/connectorStore.ts";
import type { DdlRules, Route } from "#config/routes.ts";
import { MarkStore } from "#conflict/marks.ts";
import { ConflictStore } from "#conflict/store.ts";
import { DeadLetterStore } from "#deadletter/store.ts";
import { DriftLedger } from "#drift/ledger.ts";
import type { ErrorCode } from "#errors/catalogue.ts";
import { FerryError, isFerry } from "#errors/ferryError.ts";
import { ByteBudget } from "#flow/byteBudget.ts";
import type { Clock } from "#flow/clock.ts";
import { faultPoint } from "#flow/fault.ts";
import { retry } from "#flow/retry.ts";
import { TaskGroup } from "#flow/taskGroup.ts";
import type { Log } from "#flow/types.ts";
import { Drops } from "#lanes/drops.ts";
import { type Claim, LaneStore, type Ownership } from "#lanes/laneStore.ts";
import { partitionId, type RunRecord } from "#lanes/records.ts";
import { KafkaLog } from "#log/kafkaLog.ts";
import { connectMongo, type MongoClient, openMongo, readTopology, type Topology } from "#mongo/connect.ts";
import { rawPathAvailable } from "#mongo/rawWrites.ts";
import type { Logger } from "#observe/log.ts";
import { tryingAgain } from "#observe/tryingAgain.ts";
import { CaptureGuard } from "./captureGuard.ts";
import { isFenced } from "./laneWriter.ts";
import { Meter } from "./meter.ts";
import { fairShare } from "./ownership.ts";
import { Pace, TARGET_PROBE } from "./pace.ts";
import { openPartition, type RunningPartition } from "./partition.ts";
import { type LiveRoute, RouteTable } from "./routeTable.ts";
import { TargetWatches } from "./targetWatches.ts";
import type { WorkerOptions } from "./workerOptions.ts";

export type WorkerSettings = Readonly<{
  source?: string | undefined;
  /** Kafka Connect, where there is one to look after. */
  connect?: string | undefined;
  target: string;
  /** Needed where no other log is given. */
  kafka?: string | undefined;
  stateDb: string;
  group: string;
  /** Touched after each report to the target: for health checks of containers. */
  aliveFile?: string | undefined;
}>;

export type WorkerDeps = Readonly<{
  settings: WorkerSettings;
  options: WorkerOptions;
  /** Read instead of Kafka: a log in this process, with a capture of its own behind it. */
  log?: Log | undefined;
  /** Undefined carries every topic to the namespace of its name. */
  routes: readonly Route[] | undefined;
  ddl: DdlRules;
  logger: Logger;
  clock: Clock;
  workerId: string;
  host: string;
  version: string;
  /** Ends the run when what was read is applied and saved. */
  soft: AbortSignal;
  /** Ends it at once; the next owner goes on from the saved positions. */
  hard: AbortSignal;
}>;

/** How often ownership and new topics are looked at, ms. */
const OWNERSHIP_MS = 400;
const TOPICS_MS = 2000;
/** How often positions are shown to Kafka tools, ms. */
const SHOW_MS = 5000;
/** How often the connectors behind this worker's topics are looked at, ms. */
const CAPTURE_MS = 15_000;

/** How long a broker may be away at the start, ms. */
const REACH_MS = 10_000;

/** Exit status of errors that mean: going on would harm data. */
const UNSAFE = 76;

/**
 * `ferry worker`: claims its fair share of partitions, applies them, reports itself, and hands partitions on as workers
 * come and go. Everything it must remember is on the target; nothing is lost when it dies.
 */
export class Worker implements AsyncDisposable {
  readonly #deps: WorkerDeps;
  readonly #target: MongoClient;
  readonly #source: MongoClient | undefined;
  readonly #topology: Topology;
  readonly #store: LaneStore;
  readonly #deadLetters: DeadLetterStore;
  readonly #connectors: ConnectorStore;
  readonly #drops: Drops;
  readonly #drift: DriftLedger;
  readonly #marks: MarkStore;
  readonly #conflicts: ConflictStore;
  readonly #watches: TargetWatches;
  readonly #log: Log;
  readonly #budget: ByteBudget;
  readonly #meter: Meter;
  readonly #pace: Pace | undefined;
  readonly #captureGuard: CaptureGuard | undefined;
  readonly #running = new Map<string, RunningPartition>();
  /** Partitions from the moment of their claim to their release; these leases are renewed. */
  readonly #claimed = new Set<string>();
  /** Known to be taken over; said once. */
  readonly #lost = new WeakSet<RunningPartition>();
  readonly #routes: RouteTable;
  readonly #startedAt: Date;
  /** Codes that the operator takes upon himself while this worker runs. */
  readonly #accepted: ReadonlySet<string>;
  #leaving = false;

  private constructor(
    deps: WorkerDeps,
    routes: RouteTable,
    target: MongoClient,
    source: MongoClient | undefined,
    topology: Topology,
  ) {
    this.#deps = deps;
    this.#routes = routes;
    this.#target = target;
    this.#source = source;
    this.#topology = topology;
    const { settings, options, workerId, clock } = deps;
    const transactional = topology.kind !== "standalone";
    this.#store = new LaneStore({
      client: target,
      stateDb: settings.stateDb,
      workerId,
      leaseMs: options.leaseMs,
      transactional,
    });
    this.#deadLetters = new DeadLetterStore(target, settings.stateDb);
    this.#connectors = new ConnectorStore(target, settings.stateDb);
    this.#drops = new Drops(target, settings.stateDb, transactional);
    this.#drift = new DriftLedger(target, settings.stateDb);
    this.#budget = new ByteBudget(options.budgetMb * 1024 * 1024);
    this.#meter = new Meter(clock);
    const probe = { uri: settings.target, stateDb: settings.stateDb, workerId };
    this.#pace =
      options.targetLatencyMs === 0 ? undefined : new Pace(options.targetLatencyMs, TARGET_PROBE, probe, clock);
    this.#startedAt = new Date(clock.now());
    this.#accepted = new Set(options.accept.split(",").map((code) => code.trim()));
    this.#marks = new MarkStore(target, settings.stateDb);
    this.#conflicts = new ConflictStore(target, settings.stateDb);
    this.#watches = new TargetWatches({
      target,
      store: this.#store,
      marks: this.#marks,
      accepted: this.#accepted,
      clock,
      logger: deps.logger,
      onRetry: tryingAgain(this.#deps.logger, "target watch"),
    });
    this.#log = deps.log ?? this.#kafkaLog();
    this.#captureGuard =
      settings.connect === undefined || settings.kafka === undefined || source === undefined
        ? undefined
        : new CaptureGuard({
            connectUrl: settings.connect,
            bootstrap: settings.kafka,
            source,
            connectors: this.#connectors,
            store: this.#store,
            clock,
            logger: deps.logger,
          });
  }

  #kafkaLog(): KafkaLog {
    const { settings, workerId, clock } = this.#deps;
    return new KafkaLog({
      bootstrap: settings.kafka ?? "",
      clientId: workerId,
      group: settings.group,
      clock,
      // Every partition may hold one fetch in advance: together they stay within half of the budget.
      fetchBytes: () =>
        Math.max(256 * 1024, Math.min(2 * 1024 * 1024, this.#budget.limit / 2 / Math.max(1, this.#running.size))),
      onRetry: tryingAgain(this.#deps.logger, "log"),
    });
  }

  /** Connects to what must be there at the start. @throws FERRY_CONFIG, FERRY_MONGO_*, FERRY_KAFKA_*, FERRY_USAGE: one clear sentence each. */
  static async open(deps: WorkerDeps): Promise<Worker> {
    const { settings, options, workerId, logger } = deps;
    // First of all: rules that contradict each other must not be met when half of the work has begun.
    const routes = new RouteTable({ configured: deps.routes, topics: options.topics, logger });
    const target = await connectMongo(settings.target, { appName: workerId });
    try {
      const topology = await readTopology(target);
      const source = settings.source === undefined ? undefined : openMongo(settings.source, { appName: workerId });
      const worker = new Worker(deps, routes, target, source, topology);
      await worker.#reachKafka();
      if (!rawPathAvailable())
        logger.warn(
          { worker: workerId },
          "this MongoDB driver has no raw path: documents are decoded, which is slower and changes deprecated types",
        );
      if (worker.#captureGuard === undefined && deps.log === undefined)
        logger.info(
          { worker: workerId },
          "without --source and --connect nobody looks after the connectors behind the topics",
        );
      const guarantee = worker.#guarantee();
      logger.info(
        { worker: workerId },
        `target is a ${topology.kind} (${topology.version}): effect is ${guarantee}${guarantee === "at-least-once" ? ", since it has no transactions" : ""}`,
      );
      return worker;
    } catch (error) {
      await target.close();
      throw error;
    }
  }

  /** A broker that is briefly away is waited for; one that is not there is said to be so, instead of silence. */
  async #reachKafka(): Promise<void> {
    const { clock, soft } = this.#deps;
    const what = `reaching Kafka at ${this.#deps.settings.kafka}`;
    try {
      await retry(() => this.#log.topics(), { what, clock, signal: soft, giveUpAfterMs: REACH_MS });
    } catch (error) {
      await this.#log[Symbol.asyncDispose]();
      await this.#source?.close();
      throw error;
    }
  }

  #guarantee(): "exactly-once" | "at-least-once" {
    return this.#topology.kind === "standalone" ? "at-least-once" : "exactly-once";
  }

  /** Works until a signal or a failure. @throws what made it stop. */
  async run(): Promise<void> {
    const { soft, hard, options } = this.#deps;
    await this.#store.prepare();
    await this.#deadLetters.prepare();
    await this.#drift.prepare();
    await this.#conflicts.prepare();
    await this.#reviewHalts();
    await using tasks = new TaskGroup(AbortSignal.any([soft, hard]));
    const loop = (everyMs: number, work: () => Promise<void>, signal = tasks.signal): void =>
      tasks.run(() => this.#repeat(everyMs, work, signal));
    // Goes on while the worker leaves: what was read is still being applied under its leases.
    const left = new AbortController();
    loop(options.leaseMs / 4, () => this.#heartbeat(), AbortSignal.any([left.signal, hard]));
    loop(TOPICS_MS, () => this.#discover());
    loop(OWNERSHIP_MS, () => this.#balance(tasks));
    loop(SHOW_MS, () => this.#show());
    loop(CAPTURE_MS, () => this.#checkCapture(tasks.signal));
    await Promise.race([aborted(tasks.signal), tasks.settled()]);
    await this.#leave();
    left.abort();
    await tasks.settled();
  }

  /** A loop that survives what passes by itself, and ends quietly with the signal. */
  async #repeat(everyMs: number, work: () => Promise<void>, signal: AbortSignal): Promise<void> {
    for (let attempt = 0; !signal.aborted; ) {
      try {
        await work();
        attempt = 0;
      } catch (error) {
        if (signal.aborted) return; // whatever was interrupted by the stop is no failure
        if (!isFerry(error) || error.entry.retry === "never") throw error;
        tryingAgain(this.#deps.logger, "worker")(error, ++attempt, everyMs);
      }
      await this.#deps.clock.sleep(everyMs, signal).catch(() => undefined); // woken by the signal: the loop looks at it
    }
  }

  /**
   * A halt lasts until a worker is started anew: somebody has looked, and mended the cause or accepted it. What a lane met
   * is met again at the same position; what was found at the connector is looked for once more before anything is applied.
   */
  async #reviewHalts(): Promise<void> {
    const { logger, soft } = this.#deps;
    for (const [name, { halted }] of await this.#store.readRuns()) {
      const route = this.#routes.named(name);
      if (halted === undefined || route === undefined) continue;
      const atConnector = halted.code.split("_")[1] === "CAPTURE" && halted.code !== "FERRY_CAPTURE_COPY_AGAIN";
      const looked = (await this.#captureGuard?.check([route], this.#accepted, soft)) ?? false;
      if (atConnector && !looked && !this.#accepted.has(halted.code)) throw haltedError(name, halted);
      await this.#store.lift(name);
      logger.warn(
        { route: name, code: halted.code },
        `the halt is lifted, since a worker was started: ${halted.detail}`,
      );
    }
  }

  async #heartbeat(): Promise<void> {
    const { host, version, clock, settings } = this.#deps;
    await this.#store.renew([...this.#claimed]);
    if (this.#leaving) return;
    const oldest = [...this.#running.values()].flatMap((partition) => partition.oldestMs() ?? []);
    const report = {
      ...this.#meter.read(),
      partitions: [...this.#running.keys()],
      rssMb: Math.round(process.memoryUsage.rss() / 1024 / 1024),
      bufferedBytes: this.#budget.used,
      lagMs: oldest.length === 0 ? null : Math.max(0, clock.now() - Math.min(...oldest)),
      guarantee: this.#guarantee(),
      throttle: this.#pace?.throttle.state ?? null,
    };
    await this.#store.announce(report, host, process.pid, this.#startedAt, version);
    if (settings.aliveFile !== undefined) await touch(settings.aliveFile, clock);
  }

  async #discover(): Promise<void> {
    await this.#routes.discover(this.#log, async ({ route, partitions }) =>
      this.#store.register(route, await this.#log.topicId(route.from), partitions, this.#slices(partitions)),
    );
  }

  #slices(partitionCount: number): number {
    return this.#deps.options.slices || Math.max(1, Math.ceil(4 / partitionCount));
  }

  async #balance(tasks: TaskGroup): Promise<void> {
    const halted = await this.#halted();
    const ownership = await this.#store.ownership();
    const partitions = ownership.partitions.filter(
      ({ route, partition }) => !halted.has(route) && partition < (this.#routes.live(route)?.partitions ?? 0),
    );
    this.#dropLost(partitions);
    const share = fairShare(this.#deps.workerId, { workers: ownership.workers, partitions }, this.#claimed);
    for (const { route, partition } of share.release) this.#running.get(partitionId(route, partition))?.stop();
    for (const { route, partition } of share.claim) {
      const live = this.#routes.live(route);
      if (live !== undefined) await this.#claim(live, partition, tasks);
    }
  }

  /**
   * Routes that somebody has halted; their partitions stop here. What one route met is no reason to hold the others up.
   * @throws the halt's code where no route is left to work on
   */
  async #halted(): Promise<ReadonlySet<string>> {
    const runs = await this.#store.readRuns();
    const halted = new Set<string>();
    let last: FerryError | undefined;
    for (const { route } of this.#routes.all()) {
      const halt = runs.get(route.name)?.halted;
      if (halt === undefined) continue;
      halted.add(route.name);
      last = haltedError(route.name, halt);
      for (const { claim, stop } of this.#running.values()) if (claim.route === route.name) stop();
    }
    if (last !== undefined && halted.size === this.#routes.all().length) throw last;
    return halted;
  }

  /** After a halt: the worker goes on with its other routes. @throws the error where there are none */
  async #goOn(error: FerryError): Promise<void> {
    const runs = await this.#store.readRuns();
    if (this.#routes.all().every(({ route }) => runs.get(route.name)?.halted !== undefined)) throw error;
    this.#deps.logger.error({ code: error.code, hint: error.entry.hint }, `a route is halted: ${error.detail}`);
  }

  /** An idle lane writes nothing, so it would never learn from the fence that it was taken over: the records say it. */
  #dropLost(partitions: Ownership["partitions"]): void {
    for (const { route, partition, epoch } of partitions) {
      const lane = partitionId(route, partition);
      const mine = this.#running.get(lane);
      if (mine === undefined || epoch <= mine.claim.epoch || this.#lost.has(mine)) continue;
      this.#lost.add(mine);
      this.#deps.logger.warn({ lane, epoch: mine.claim.epoch }, "partition was taken over by another worker");
      mine.stop();
    }
  }

  async #claim(live: LiveRoute, partition: number, tasks: TaskGroup): Promise<void> {
    if (this.#leaving) return;
    const { name } = live.route;
    const lane = partitionId(name, partition);
    this.#claimed.add(lane);
    let claim: Claim | undefined;
    try {
      claim = await this.#store.claim(name, partition, this.#slices(live.partitions), 0);
    } finally {
      if (claim === undefined) this.#claimed.delete(lane);
    }
    if (claim === undefined) return;
    const won = claim;
    this.#deps.logger.info({ lane, epoch: won.epoch }, "partition claimed");
    tasks.run(() => this.#work(won, live));
  }

  /** One claimed partition from its opening to its release. */
  async #work(claim: Claim, { route, filter, partitions }: LiveRoute): Promise<void> {
    const lane = partitionId(claim.route, claim.partition);
    try {
      const partition = await openPartition({
        ...this.#deps,
        claim,
        route,
        filter,
        partitionCount: partitions,
        accepted: this.#accepted,
        target: this.#target,
        source: this.#source,
        store: this.#store,
        deadLetters: this.#deadLetters,
        connectors: this.#connectors,
        drops: this.#drops,
        drift: this.#drift,
        marks: this.#marks,
        conflicts: this.#conflicts,
        watches: this.#watches,
        log: this.#log,
        budget: this.#budget,
        meter: this.#meter,
        throttle: this.#pace?.throttle,
        onRetry: tryingAgain(this.#deps.logger, "lane"),
      });
      this.#running.set(lane, partition);
      if (this.#leaving) partition.stop(); // it was being opened while the worker began to leave
      await partition.done;
      this.#deps.logger.info(
        { lane, epoch: claim.epoch, offset: partition.offset() },
        "partition released; position saved",
      );
    } catch (error) {
      await this.#afterFailure(claim, error);
    } finally {
      this.#running.delete(lane);
      faultPoint("before-release");
      await this.#store.release(claim).catch(() => undefined); // the lease runs out by itself
      this.#claimed.delete(lane);
    }
  }

  /** Fenced and passing failures give the partition back; unsafe ones halt the route for all; the rest ends this worker. */
  async #afterFailure(claim: Claim, error: unknown): Promise<void> {
    const { logger, hard } = this.#deps;
    if (hard.aborted) return;
    const lane = partitionId(claim.route, claim.partition);
    if (isFerry(error) && (error.entry.retry === "backoff" || isFenced(error))) {
      logger.warn({ lane, epoch: claim.epoch, err: error.detail, code: error.code }, "partition given back");
      return;
    }
    if (!isFerry(error) || error.entry.exit !== UNSAFE) throw error;
    await this.#store.halt(claim.route, error);
    await this.#goOn(error);
  }

  /** One worker looks after a route's connector: the one that has its first partition. */
  async #checkCapture(signal: AbortSignal): Promise<void> {
    const routes = this.#routes.all().filter(({ route }) => this.#running.has(partitionId(route.name, 0)));
    if (this.#captureGuard === undefined || routes.length === 0) return;
    const guarded = routes.map(({ route }) => route);
    try {
      await this.#captureGuard.check(guarded, this.#accepted, signal);
    } catch (error) {
      if (!isFerry(error) || error.entry.exit !== UNSAFE) throw error;
      await this.#goOn(error);
    }
  }

  async #show(): Promise<void> {
    const topics = new Map<string, Map<number, number>>();
    for (const { claim, offset } of this.#running.values()) {
      const offsets = topics.get(claim.topic) ?? new Map<number, number>();
      const lowest = Math.min(offset(), offsets.get(claim.partition) ?? Number.POSITIVE_INFINITY); // routes share a topic
      topics.set(claim.topic, offsets.set(claim.partition, lowest));
    }
    for (const [topic, offsets] of topics) await this.#log.showOffsets(topic, offsets);
  }

  async #leave(): Promise<void> {
    this.#leaving = true;
    const { soft, hard, logger, workerId } = this.#deps;
    if (soft.aborted && !hard.aborted)
      logger.info(
        { worker: workerId, bytes: this.#budget.used },
        "asked to stop: what was read is applied and saved first; a second signal stops at once",
      );
    // Out of the count first, so that the others take each partition as soon as it is released.
    await this.#store.leave().catch(() => undefined); // otherwise seen to be gone by its silence
    for (const partition of this.#running.values()) partition.stop();
    await Promise.allSettled([...this.#running.values()].map((partition) => partition.done));
    if (!hard.aborted) await this.#show().catch(() => undefined); // a courtesy
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#watches[Symbol.asyncDispose]();
    await Promise.allSettled([
      this.#pace?.[Symbol.asyncDispose](),
      this.#log[Symbol.asyncDispose](),
      this.#captureGuard?.[Symbol.asyncDispose](),
      this.#target.close(),
      this.#source?.close(),
    ]);
  }
}

/** @throws FERRY_USAGE where it cannot be written: a health check that nobody feeds would end a worker that is well. */
const touch = async (file: string, clock: Clock): Promise<void> => {
  try {
    await writeFile(file, `${new Date(clock.now()).toISOString()}\n`);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new FerryError("FERRY_USAGE", `the alive file cannot be written: ${reason}`, { cause: error });
  }
};

const haltedError = (route: string, { code, detail, at }: NonNullable<RunRecord["halted"]>): FerryError =>
  new FerryError(code as ErrorCode, `${route} is halted since ${at.toISOString()}: ${detail}`);

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
