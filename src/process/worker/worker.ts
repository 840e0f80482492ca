import { TargetWatches } from "#apply/conflict/targetWatches.ts";
import type { Claim } from "#apply/lanes/claims.ts";
import { partitionId } from "#apply/lanes/records.ts";
import type { RunningPartition } from "#apply/pipeline/runningPartition.ts";
import type { DdlRules, Route } from "#base/config/routes.ts";
import type { WorkerOptions } from "#base/config/workerOptions.ts";
import { isFerry } from "#base/errors/ferryError.ts";
import { unlessAborted } from "#base/flow/abort.ts";
import { ByteBudget } from "#base/flow/byteBudget.ts";
import type { Clock } from "#base/flow/clock.ts";
import { every } from "#base/flow/every.ts";
import { TaskGroup } from "#base/flow/taskGroup.ts";
import type { Log } from "#base/flow/types.ts";
import type { Logger } from "#base/observe/log.ts";
import { tryingAgain } from "#base/observe/tryingAgain.ts";
import { KafkaLog } from "#io/log/kafkaLog.ts";
import { type MongoClient, openMongo, readTopology, type Topology } from "#io/mongo/connect.ts";
import { type AwaitedServer, mongoServer, throughOutages, whenFirstAnswers } from "#io/mongo/outages.ts";
import { rawPathAvailable } from "#io/mongo/rawWrites.ts";
import { reachMongo, sayIgnored } from "#io/mongo/reach.ts";
import { Pace, TARGET_PROBE } from "#io/pace/pace.ts";
import { type LiveRoute, RouteTable } from "#route/table/routeTable.ts";
import { requireFits } from "#sink/open/fits.ts";
import { type SinkOf, sinkOpener } from "#sink/open/openSink.ts";
import { provenSource } from "#source/stream/deployment.ts";
import { touch } from "./aliveFile.ts";
import { CaptureGuard } from "./captureGuard.ts";
import { Halts } from "./halts.ts";
import { HeldPartitions } from "./heldPartitions.ts";
import { Meter } from "./meter.ts";
import { type OpenState, openState, type StateSettings } from "./openState.ts";
import { openPartition } from "./partition.ts";
import { type WorkerStores, workerStores } from "./workerStores.ts";

export type WorkerSettings = Readonly<{
  source?: string | undefined;
  /** Kafka Connect, if its connectors are to be checked. */
  connect?: string | undefined;
  target: string;
  /** Needed where no other log is given. */
  kafka?: string | undefined;
  group: string;
  /** Touched after each report to the target: for health checks of containers. */
  aliveFile?: string | undefined;
}> &
  StateSettings;

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
  /** See ConnectOptions: behind a cutover the side that is written to is fenced. */
  pastValidators?: boolean;
  /** Ends the run when what was read is applied and saved. */
  soft: AbortSignal;
  /** Ends it immediately; the next owner resumes from the saved positions. */
  hard: AbortSignal;
}>;

/** How often ownership and new topics are looked at, ms. */
const OWNERSHIP_MS = 400;
const TOPICS_MS = 2000;
/** How often positions are shown to Kafka tools, ms. */
const SHOW_MS = 5000;
/** How often the connectors behind this worker's topics are looked at, ms. */
const CAPTURE_MS = 15_000;

/**
 * `ferry worker`: claims its fair share of partitions, applies them, reports itself, and hands partitions on as workers
 * come and go. Everything it must remember is on the target; nothing is lost when it dies.
 */
export class Worker implements AsyncDisposable {
  readonly #deps: WorkerDeps;
  readonly #target: MongoClient;
  readonly #source: MongoClient | undefined;
  readonly #topology: Topology;
  readonly #memory: OpenState;
  readonly #stores: WorkerStores;
  readonly #sinkOf: SinkOf;
  readonly #watches: TargetWatches;
  readonly #log: Log;
  readonly #budget: ByteBudget;
  readonly #meter: Meter;
  readonly #pace: Pace | undefined;
  readonly #captureGuard: CaptureGuard | undefined;
  readonly #routes: RouteTable;
  readonly #halts: Halts;
  readonly #held: HeldPartitions;
  readonly #startedAt: Date;
  /** Codes that the operator takes upon himself while this worker runs. */
  readonly #accepted: ReadonlySet<string>;

  private constructor(
    deps: WorkerDeps,
    routes: RouteTable,
    target: MongoClient,
    source: MongoClient | undefined,
    topology: Topology,
    memory: OpenState,
  ) {
    this.#deps = deps;
    this.#routes = routes;
    this.#target = target;
    this.#source = source;
    this.#topology = topology;
    const { settings, options, workerId, clock, logger, hard } = deps;
    this.#memory = memory;
    const { state, apart } = memory;
    const transactional = (apart ?? topology).kind !== "standalone";
    const owner = { state, workerId, leaseMs: options.leaseMs, transactional };
    this.#stores = workerStores(owner, clock);
    this.#sinkOf = sinkOpener({ target, transactional: this.#guarantee() === "exactly-once" });
    const { store, claims, runs, connectors, marks } = this.#stores;
    this.#budget = new ByteBudget(options.budgetMb * 1024 * 1024);
    this.#meter = new Meter(clock);
    const probe = { uri: settings.target, stateDb: settings.stateDb, workerId };
    this.#pace =
      options.targetLatencyMs === 0 ? undefined : new Pace(options.targetLatencyMs, TARGET_PROBE, probe, clock);
    this.#startedAt = new Date(clock.now());
    const accepted = new Set(options.accept.split(",").map((code) => code.trim()));
    this.#accepted = accepted;
    const onRetry = tryingAgain(logger, "target watch");
    this.#watches = new TargetWatches({ target, runs, marks, accepted, clock, logger, onRetry });
    this.#log = deps.log ?? this.#kafkaLog();
    const { connect: connectUrl, kafka: bootstrap } = settings;
    const guard =
      connectUrl === undefined || bootstrap === undefined || source === undefined
        ? undefined
        : new CaptureGuard({ connectUrl, bootstrap, source, connectors, runs, clock, logger });
    this.#captureGuard = guard;
    this.#halts = new Halts({ runs, routes, guard, accepted, logger });
    this.#held = new HeldPartitions({
      workerId,
      store,
      claims,
      runs,
      routes,
      halts: this.#halts,
      slices: (partitionCount) => this.#slices(partitionCount),
      open: (claim, live) => this.#openPartition(claim, live),
      logger,
      hard,
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
        Math.max(256 * 1024, Math.min(2 * 1024 * 1024, this.#budget.limit / 2 / Math.max(1, this.#held.running.size))),
      onRetry: tryingAgain(this.#deps.logger, "log"),
    });
  }

  /** Connects to what must be there at the start. @throws FERRY_CONFIG, FERRY_MONGO_*, FERRY_KAFKA_*, FERRY_USAGE: one clear sentence each. */
  static async open(deps: WorkerDeps): Promise<Worker> {
    const { settings, options, workerId, clock, logger, soft, hard } = deps;
    // First of all: rules that contradict each other must not be met when half of the work has begun.
    requireFits(deps.routes ?? []);
    const routes = new RouteTable({ configured: deps.routes, topics: options.topics, logger });
    if (deps.log === undefined)
      for (const side of ["source", "target"] as const) sayIgnored(side, settings[side], logger);
    const signal = AbortSignal.any([soft, hard]);
    const target = await reachMongo(settings.target, {
      ...{ side: "target", appName: workerId, pastValidators: deps.pastValidators ?? false, clock, logger, signal },
    });
    let worker: Worker;
    try {
      const outages = { clock, logger, signal };
      const looking = async () => ({
        topology: await readTopology(target),
        memory: await openState(target, settings, { appName: workerId, ...outages }),
      });
      const servers = [mongoServer("the target", target)];
      const { topology, memory } = await throughOutages("looking at the target", servers, outages, looking);
      const source = settings.source === undefined ? undefined : openMongo(settings.source, { appName: workerId });
      worker = new Worker(deps, routes, target, source, topology, memory);
    } catch (error) {
      await target.close();
      throw error;
    }
    try {
      await worker.#begin(signal);
      return worker;
    } catch (error) {
      await worker[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Sees that the log answers, and says how this worker will work. */
  async #begin(signal: AbortSignal): Promise<void> {
    const { log, clock, logger, workerId } = this.#deps;
    if (log === undefined) await whenFirstAnswers(this.#kafka, { clock, logger, signal });
    if (!rawPathAvailable())
      logger.warn(
        { worker: workerId },
        "this MongoDB driver has no raw path: documents are decoded, which is slower and changes deprecated types",
      );
    if (this.#captureGuard === undefined && log === undefined)
      logger.info({ worker: workerId }, "without --source and --connect connector health checks are off");
    const { kind, version } = this.#topology;
    const guarantee = this.#guarantee();
    logger.info({ worker: workerId }, `target is a ${kind} (${version}): effect is ${guarantee}${this.#whyNotOnce()}`);
  }

  get #kafka(): AwaitedServer {
    return { name: `Kafka at ${this.#deps.settings.kafka}`, ask: () => this.#log.topics() };
  }

  #guarantee(): "exactly-once" | "at-least-once" {
    return this.#whyNotOnce() === "" ? "exactly-once" : "at-least-once";
  }

  #whyNotOnce(): string {
    if (this.#topology.kind === "standalone") return ", since it has no transactions";
    return this.#memory.apart === undefined ? "" : ", since ferry's state is on another deployment";
  }

  /** Works until a signal or a failure. @throws what made it stop. */
  async run(): Promise<void> {
    const { soft, hard, options, clock, logger, log } = this.#deps;
    const signal = AbortSignal.any([soft, hard]);
    const servers = [
      mongoServer("the target", this.#target),
      ...(this.#memory.apart !== undefined ? [mongoServer("the state database", this.#memory.state.client)] : []),
      ...(log === undefined ? [this.#kafka] : []),
    ];
    await throughOutages("preparing ferry's database", servers, { clock, logger, signal }, async () => {
      await this.#memory.state.prepare();
      await this.#halts.review(signal);
    });
    await using tasks = new TaskGroup(signal);
    const loop = (everyMs: number, work: () => Promise<void>, signal = tasks.signal): void =>
      tasks.run(() => this.#repeat(everyMs, work, signal));
    // Goes on while the worker leaves: what was read is still being applied under its leases.
    const left = new AbortController();
    loop(options.leaseMs / 4, () => this.#heartbeat(), AbortSignal.any([left.signal, hard]));
    const looked = Promise.withResolvers<void>();
    loop(TOPICS_MS, () => this.#discover().finally(looked.resolve));
    // Behind the first look at the topics: a claim before that finds nothing, and is repeated half a second later.
    const claiming = unlessAborted(looked.promise, tasks.signal);
    loop(OWNERSHIP_MS, () => claiming.then(() => this.#held.balance(tasks)));
    loop(SHOW_MS, () => this.#show());
    loop(CAPTURE_MS, () => this.#checkCapture(tasks.signal));
    await Promise.race([aborted(tasks.signal), tasks.settled()]);
    await this.#leave();
    left.abort();
    await tasks.settled();
  }

  /** A loop that survives transient errors, and ends with the signal. */
  async #repeat(everyMs: number, work: () => Promise<void>, signal: AbortSignal): Promise<void> {
    const { clock, logger } = this.#deps;
    let attempt = 0;
    await every(everyMs, { clock, ended: signal, first: "now" }, async () => {
      try {
        await work();
        attempt = 0;
      } catch (error) {
        if (signal.aborted) return; // whatever was interrupted by the stop is no failure
        if (!isFerry(error) || error.entry.retry === "never") throw error;
        tryingAgain(logger, "worker")(error, ++attempt, everyMs);
      }
    });
  }

  async #heartbeat(): Promise<void> {
    const { host, version, clock, settings } = this.#deps;
    await this.#stores.store.renew(this.#held.claimed);
    if (this.#held.leaving) return;
    const running = this.#held.running;
    const oldest = [...running.values()].flatMap((partition) => partition.oldestMs() ?? []);
    const report = {
      ...this.#meter.read(),
      partitions: [...running.keys()],
      rssMb: Math.round(process.memoryUsage.rss() / 1024 / 1024),
      bufferedBytes: this.#budget.used,
      lagMs: oldest.length === 0 ? null : Math.max(0, clock.now() - Math.min(...oldest)),
      guarantee: this.#guarantee(),
      throttle: this.#pace?.throttle.state ?? null,
    };
    await this.#stores.store.announce(report, host, process.pid, this.#startedAt, version);
    if (settings.aliveFile !== undefined) await touch(settings.aliveFile, clock);
  }

  async #discover(): Promise<void> {
    await this.#routes.discover(this.#log, async ({ route, partitions }) =>
      this.#stores.store.register(route, await this.#log.topicId(route.from), partitions, this.#slices(partitions)),
    );
  }

  #slices(partitionCount: number): number {
    return this.#deps.options.slices || Math.max(1, Math.ceil(4 / partitionCount));
  }

  #openPartition(claim: Claim, { route, filter, partitions }: LiveRoute): Promise<RunningPartition> {
    const [source, { connectors }] = [this.#source, this.#stores];
    return openPartition({
      ...this.#deps,
      ...this.#stores,
      state: this.#memory.state,
      claim,
      route,
      filter,
      partitionCount: partitions,
      accepted: this.#accepted,
      target: this.#target,
      source: source && provenSource(source, () => connectors.sourceOf(claim.topic)),
      sinkOf: this.#sinkOf,
      watches: this.#watches,
      log: this.#log,
      budget: this.#budget,
      meter: this.#meter,
      throttle: this.#pace?.throttle,
      onRetry: tryingAgain(this.#deps.logger, "lane"),
    });
  }

  /** One worker checks a route's connector: the owner of its first partition. */
  async #checkCapture(signal: AbortSignal): Promise<void> {
    const routes = this.#routes.all().filter(({ route }) => this.#held.running.has(partitionId(route.name, 0)));
    if (this.#captureGuard === undefined || routes.length === 0) return;
    const guarded = routes.map(({ route }) => route);
    try {
      await this.#captureGuard.check(guarded, this.#accepted, signal);
    } catch (error) {
      if (!isFerry(error) || !error.entry.halts) throw error;
      await this.#halts.goOn(error);
    }
  }

  async #show(): Promise<void> {
    for (const [topic, offsets] of this.#held.offsets()) await this.#log.showOffsets(topic, offsets);
  }

  async #leave(): Promise<void> {
    const { soft, hard, logger, workerId } = this.#deps;
    if (soft.aborted && !hard.aborted)
      logger.info(
        { worker: workerId, bytes: this.#budget.used },
        "stopping: finishing buffered records; send the signal again to stop now",
      );
    await this.#held.leave();
    if (!hard.aborted) await this.#show().catch(() => undefined); // a courtesy
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#watches[Symbol.asyncDispose]();
    await Promise.allSettled([
      this.#pace?.[Symbol.asyncDispose](),
      this.#log[Symbol.asyncDispose](),
      this.#captureGuard?.[Symbol.asyncDispose](),
      this.#memory[Symbol.asyncDispose](),
      this.#target.close(),
      this.#source?.close(),
    ]);
  }
}

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
