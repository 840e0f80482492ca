import { partitionId } from "#apply/lanes/laneRecords.ts";
import { isFerry } from "#base/errors/ferryError.ts";
import { unlessAborted } from "#base/flow/abort.ts";
import { every } from "#base/flow/every.ts";
import { failuresInARow } from "#base/flow/retry.ts";
import { TaskGroup } from "#base/flow/taskGroup.ts";
import { tryingAgain } from "#base/observe/tryingAgain.ts";
import { type AwaitedServer, mongoServer, throughOutages, whenFirstAnswers } from "#io/mongo/outages.ts";
import { rawPathAvailable } from "#io/mongo/rawWrites.ts";
import { touch } from "./aliveFile.ts";
import { workerObstacle, workerSamples } from "./workerVitals.ts";
import { type WorkerDeps, type WorkerParts, wireWorker } from "./workerWiring.ts";

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
  readonly #parts: WorkerParts;
  readonly #startedAt: Date;
  /** When the target took the last report, ms. */
  #reportedAt: number | undefined;

  private constructor(deps: WorkerDeps, parts: WorkerParts) {
    this.#deps = deps;
    this.#parts = parts;
    this.#startedAt = new Date(deps.clock.now());
  }

  /** Connects to what must be there at the start. @throws FERRY_CONFIG, FERRY_MONGO_*, FERRY_KAFKA_*, FERRY_USAGE: one clear sentence each. */
  static async open(deps: WorkerDeps): Promise<Worker> {
    await using stack = new AsyncDisposableStack();
    const worker = stack.use(new Worker(deps, await wireWorker(deps)));
    await worker.#begin(AbortSignal.any([deps.soft, deps.hard]));
    stack.move(); // the caller's now
    return worker;
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
    if (this.#parts.guard === undefined && log === undefined)
      logger.info({ worker: workerId }, "without --source and --connect connector health checks are off");
    const { side, topology } = this.#parts.target;
    const effect = `${this.#guarantee}${this.#parts.whyNotOnce}`;
    logger.info({ worker: workerId }, `${side} is a ${topology.kind} (${topology.version}): effect is ${effect}`);
  }

  get #kafka(): AwaitedServer {
    return { name: `Kafka at ${this.#deps.settings.kafka}`, ask: () => this.#parts.log.topics() };
  }

  get #guarantee(): "exactly-once" | "at-least-once" {
    return this.#parts.whyNotOnce === "" ? "exactly-once" : "at-least-once";
  }

  get #obstacle(): string | undefined {
    const { clock, options } = this.#deps;
    const silentMs = this.#reportedAt === undefined ? undefined : clock.now() - this.#reportedAt;
    const { held, halts } = this.#parts;
    return workerObstacle({ silentMs, leaseMs: options.leaseMs, held, halted: halts.known });
  }

  /** Works until a signal or a failure. @throws what made it stop. */
  async run(): Promise<void> {
    const { soft, hard, options, clock, logger, vitals, log } = this.#deps;
    const signal = AbortSignal.any([soft, hard]);
    const { side, client, state, apart } = this.#parts.target;
    const servers = [
      mongoServer(`the ${side}`, client),
      ...(apart === undefined ? [] : [mongoServer("the state database", state.client)]),
      ...(log === undefined ? [this.#kafka] : []),
    ];
    await throughOutages("preparing ferry's database", servers, { clock, logger, signal }, async () => {
      await state.prepare();
      await this.#parts.halts.review(signal);
    });
    using _part = vitals.part("worker", () => this.#obstacle);
    using _shown = vitals.show(() => workerSamples(this.#parts, clock.now()));
    await using tasks = new TaskGroup(signal);
    const loop = (everyMs: number, work: () => Promise<void>, signal = tasks.signal): void =>
      tasks.run(() => this.#repeat(everyMs, work, signal));
    // Goes on while the worker leaves: what was read is still being applied under its leases.
    const left = new AbortController();
    loop(options.leaseMs / 4, () => this.#heartbeat(), AbortSignal.any([left.signal, hard]));
    const looked = Promise.withResolvers<void>();
    loop(TOPICS_MS, () => this.#discover().finally(looked.resolve));
    // After the first look at the topics: a claim before that finds nothing, and is repeated half a second later.
    const claiming = unlessAborted(looked.promise, tasks.signal);
    loop(OWNERSHIP_MS, () => claiming.then(() => this.#parts.held.balance(tasks)));
    loop(SHOW_MS, () => this.#show());
    loop(CAPTURE_MS, () => this.#checkCapture(tasks.signal));
    await Promise.race([aborted(tasks.signal), tasks.settled()]);
    await this.#leave();
    left.abort();
    await tasks.settled();
  }

  /** A loop that survives transient errors, and ends with the signal. */
  async #repeat(everyMs: number, work: () => Promise<void>, signal: AbortSignal): Promise<void> {
    const { clock } = this.#deps;
    let timesOf = failuresInARow();
    await every(everyMs, { clock, ended: signal, first: "now" }, async () => {
      try {
        await work();
        timesOf = failuresInARow();
      } catch (error) {
        if (signal.aborted) return; // whatever was interrupted by the stop is no failure
        if (!isFerry(error) || error.entry.retry === "never") throw error;
        tryingAgain(this.#deps, "worker")(error, timesOf(error), everyMs);
      }
    });
  }

  async #heartbeat(): Promise<void> {
    const { host, version, clock, settings } = this.#deps;
    await this.#parts.stores.claims.renew(this.#parts.held.claimed);
    if (this.#parts.held.leaving) return;
    const running = this.#parts.held.running;
    const oldest = [...running.values()].flatMap((partition) => partition.oldestMs() ?? []);
    const report = {
      ...this.#parts.meter.read(),
      partitions: [...running.keys()],
      rssMb: Math.round(process.memoryUsage.rss() / 1024 / 1024),
      bufferedBytes: this.#parts.budget.used,
      lagMs: oldest.length === 0 ? null : Math.max(0, clock.now() - Math.min(...oldest)),
      guarantee: this.#guarantee,
      throttle: this.#parts.pace?.throttle.state ?? null,
    };
    const routes = this.#parts.routes.all().map(({ route }) => route.name);
    const { pid } = process;
    await this.#parts.stores.store.announce({ host, pid, startedAt: this.#startedAt, version, routes, report });
    this.#reportedAt = clock.now();
    if (settings.aliveFile !== undefined) await touch(settings.aliveFile, clock);
  }

  async #discover(): Promise<void> {
    await this.#parts.routes.discover(this.#parts.log, async ({ route, partitions }) =>
      this.#parts.stores.store.register(
        route,
        await this.#parts.log.topicId(route.from),
        partitions,
        this.#parts.slices(partitions),
      ),
    );
  }

  /** One worker checks a route's connector: the owner of its first partition. */
  async #checkCapture(signal: AbortSignal): Promise<void> {
    const routes = this.#parts.routes
      .all()
      .filter(({ route }) => this.#parts.held.running.has(partitionId(route.name, 0)));
    if (this.#parts.guard === undefined || routes.length === 0) return;
    const guarded = routes.map(({ route }) => route);
    try {
      await this.#parts.guard.check(guarded, this.#parts.accepted, signal);
    } catch (error) {
      if (!isFerry(error) || !error.entry.halts) throw error;
      await this.#parts.halts.goOn(error);
    }
  }

  async #show(): Promise<void> {
    for (const [topic, offsets] of this.#parts.held.offsets()) await this.#parts.log.showOffsets(topic, offsets);
  }

  async #leave(): Promise<void> {
    const { soft, hard, logger, workerId } = this.#deps;
    if (soft.aborted && !hard.aborted)
      logger.info(
        { worker: workerId, bytes: this.#parts.budget.used },
        "stopping: finishing buffered records; send the signal again to stop now",
      );
    await this.#parts.held.leave();
    if (!hard.aborted) await this.#show().catch(() => undefined); // a courtesy
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#parts[Symbol.asyncDispose]();
  }
}

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
