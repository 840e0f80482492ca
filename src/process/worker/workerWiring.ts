import { TargetWatches } from "#apply/conflict/targetWatches.ts";
import type { Claim } from "#apply/lanes/claims.ts";
import type { RunningPartition } from "#apply/pipeline/runningPartition.ts";
import { destinationText } from "#base/config/destination.ts";
import type { DdlRules, Route } from "#base/config/routes.ts";
import type { WorkerOptions } from "#base/config/workerOptions.ts";
import { ByteBudget } from "#base/flow/byteBudget.ts";
import type { Clock } from "#base/flow/clock.ts";
import { listed } from "#base/flow/namespaceFilter.ts";
import type { Log } from "#base/flow/types.ts";
import type { Logger } from "#base/observe/log.ts";
import { tryingAgain } from "#base/observe/tryingAgain.ts";
import type { Vitals } from "#base/observe/vitals.ts";
import { kafkaAddress } from "#io/kafka/address.ts";
import { KafkaLog } from "#io/log/kafkaLog.ts";
import { type MongoClient, openMongo } from "#io/mongo/connect.ts";
import { Pace, TARGET_PROBE } from "#io/pace/pace.ts";
import type { TargetSite } from "#io/state/targetSite.ts";
import { topicMatcher } from "#io/wire/topics.ts";
import { type LiveRoute, RouteTable } from "#route/table/routeTable.ts";
import { requireFits } from "#sink/open/fits.ts";
import { kindOfSink, type SharedBySinks, sharedBySinks, sinkOpener } from "#sink/open/openSink.ts";
import { connectAddress } from "#source/connect/connectAddress.ts";
import { provenSource } from "#source/stream/deployment.ts";
import { CaptureGuard } from "./captureGuard.ts";
import { Halts } from "./halts.ts";
import { HeldPartitions } from "./heldPartitions.ts";
import { Meter } from "./meter.ts";
import { type OpenTarget, openTarget, placeOf, sayIgnoredOptions, type TargetSettings } from "./openTarget.ts";
import { openPartition } from "./partitionWiring.ts";
import { type WorkerStores, workerStores } from "./workerStores.ts";

export type WorkerSettings = Readonly<{
  source?: string | undefined;
  /** Kafka Connect, if its connectors are to be checked. */
  connect?: string | undefined;
  /** Needed where no other log is given. */
  kafka?: string | undefined;
  kafkaConfig?: string | undefined;
  group: string;
  /** Touched after each report to the target: for health checks of containers. */
  aliveFile?: string | undefined;
}> &
  TargetSettings;

export type WorkerDeps = Readonly<{
  settings: WorkerSettings;
  options: WorkerOptions;
  /** Read instead of Kafka: a log in this process, with a capture of its own behind it. */
  log?: Log | undefined;
  /** Of a log in this process: which owner of the capture it is. */
  captureEpoch?: number | undefined;
  /** Of a process that has opened sinks itself. */
  shared?: SharedBySinks | undefined;
  /** Undefined carries every topic to the namespace of its name. */
  routes: readonly Route[] | undefined;
  ddl: DdlRules;
  logger: Logger;
  vitals: Vitals;
  clock: Clock;
  workerId: string;
  host: string;
  version: string;
  /** See ConnectOptions: after a cutover the side that is written to is fenced. */
  pastValidators?: boolean;
  /** Ends the run when what was read is applied and saved. */
  soft: AbortSignal;
  /** Ends it immediately; the next owner resumes from the saved positions. */
  hard: AbortSignal;
}>;

/** What routes with slow targets may hold in memory, as a part of what all others may: these never wait for them. */
const ASIDE = 0.25;

/** Why a write could be applied twice, as the end of a sentence; empty where it cannot. */
const whyNotOnce = ({ topology, apart }: OpenTarget): string => {
  if (topology.kind === "standalone") return ", since it has no transactions";
  return apart === undefined ? "" : ", since ferry's state is on another deployment";
};

/** The same of a route whose target takes no part in a transaction. */
const whyOutside = (route: Route | undefined): string =>
  route === undefined ? "" : `, since ${destinationText(route.to)} takes no part in transactions (route ${route.name})`;

/** What a worker works with. Disposing of it closes every connection. */
export type WorkerParts = AsyncDisposable &
  Readonly<{
    target: OpenTarget;
    whyNotOnce: string;
    stores: WorkerStores;
    routes: RouteTable;
    log: Log;
    budget: ByteBudget;
    meter: Meter;
    pace: Pace | undefined;
    /** Undefined where connectors cannot be looked at. */
    guard: CaptureGuard | undefined;
    halts: Halts;
    held: HeldPartitions;
    /** Error codes accepted with --accept while this worker runs. */
    accepted: ReadonlySet<string>;
    /** Lanes of a partition, by how many partitions its topic has. */
    slices: (partitionCount: number) => number;
  }>;

/**
 * Makes and connects everything that one worker works with; no other file does.
 * @throws FERRY_CONFIG, FERRY_MONGO_*, FERRY_USAGE: one clear sentence each
 */
export const wireWorker = async (deps: WorkerDeps): Promise<WorkerParts> => {
  const { settings, options, workerId, clock, logger, vitals, soft, hard } = deps;
  // First of all: what cannot be done must not be met when half of the work has begun.
  const requirePossible = requirementsOf(deps);
  requirePossible();
  const routes = new RouteTable({ configured: deps.routes, topics: options.topics, logger });
  if (deps.log === undefined) sayIgnoredOptions(settings, logger);

  await using stack = new AsyncDisposableStack();
  const signal = AbortSignal.any([soft, hard]);
  const pastValidators = deps.pastValidators ?? false;
  const opened = await openTarget(settings, { clock, logger, signal, appName: workerId, pastValidators });
  const { client: target, topology, site, state, apart } = stack.use(opened);
  requirePossible(site);
  const source = settings.source === undefined ? undefined : openMongo(settings.source, { appName: workerId });
  stack.defer(() => source?.close());

  const transactional = (apart ?? topology).kind !== "standalone";
  const stores = workerStores(
    { state, workerId, leaseMs: options.leaseMs, captureEpoch: deps.captureEpoch, transactional },
    clock,
  );
  const { store, claims, runs, connectors, marks } = stores;
  const reason = whyNotOnce(opened);
  const outside = (deps.routes ?? []).find(({ to }) => !kindOfSink(to).can.transactions);
  const shared = deps.shared ?? sharedBySinks(clock);
  const sinkOf = sinkOpener({ shared, target, site, state, clock, logger, vitals, signal: hard });
  const budget = new ByteBudget(options.budgetMb * 1024 * 1024);
  const aside = new ByteBudget(budget.limit * ASIDE);
  const meter = new Meter(clock);
  const accepted = new Set(listed(options.accept));
  const slices = (partitionCount: number): number => options.slices || Math.max(1, Math.ceil(4 / partitionCount));
  const pace = stack.use(paceOf(deps));
  const guard = stack.use(guardOf(deps, source, stores));
  const halts = new Halts({ runs, routes, guard, accepted, logger });
  const log = stack.use(deps.log ?? kafkaLog(deps, { budget, running: () => held.running.size }));
  const watches = stack.use(
    new TargetWatches({ target, runs, marks, accepted, clock, logger, onRetry: tryingAgain(deps, "target watch") }),
  );
  const open = (claim: Claim, { route, filter, partitions }: LiveRoute): Promise<RunningPartition> =>
    openPartition({
      ...{ claim, route, filter, partitionCount: partitions, routes: deps.routes, ddl: deps.ddl },
      ...{ options, accepted, stores, state, target, sinkOf, watches, log, budget, aside },
      ...{ meter, clock, logger, vitals, hard },
      source: source && provenSource(source, () => connectors.sourceOf(claim.topic)),
      throttle: pace?.throttle,
      onRetry: tryingAgain(deps, "lane"),
    });
  const held = new HeldPartitions({ workerId, store, claims, runs, routes, halts, slices, open, logger, hard });

  const kept = stack.move();
  return {
    ...{ target: opened, whyNotOnce: reason || whyOutside(outside), stores, routes, log, budget, meter, pace },
    ...{ guard, halts, held, accepted, slices },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
};

/** What this worker asks of the targets of its routes, and refuses where one cannot do it. */
const requirementsOf = ({ routes, options, settings, ddl }: WorkerDeps): ((site?: TargetSite) => void) => {
  const isMeant = topicMatcher(options.topics);
  const asked = { ...options, source: settings.source !== undefined, ddl };
  return (site) =>
    requireFits(
      routes?.filter(({ from }) => isMeant(from)),
      asked,
      site,
    );
};

const paceOf = ({ options, settings, workerId, clock }: WorkerDeps): Pace | undefined => {
  if (options.targetLatencyMs === 0) return undefined;
  const probe = { uri: placeOf(settings).uri, stateDb: settings.stateDb, workerId };
  return new Pace(options.targetLatencyMs, TARGET_PROBE, probe, clock);
};

const guardOf = (
  { settings, clock, logger }: WorkerDeps,
  source: MongoClient | undefined,
  { connectors, runs }: WorkerStores,
): CaptureGuard | undefined => {
  if (settings.connect === undefined || settings.kafka === undefined || source === undefined) return undefined;
  return new CaptureGuard({
    connect: connectAddress(settings),
    kafka: kafkaAddress(settings),
    source,
    connectors,
    runs,
    clock,
    logger,
  });
};

const kafkaLog = (
  deps: WorkerDeps,
  { budget, running }: Readonly<{ budget: ByteBudget; running: () => number }>,
): KafkaLog =>
  new KafkaLog({
    ...kafkaAddress(deps.settings),
    clientId: deps.workerId,
    group: deps.settings.group,
    clock: deps.clock,
    // Every partition may hold one fetch in advance: together they stay within half of the budget.
    fetchBytes: () => Math.max(256 * 1024, Math.min(2 * 1024 * 1024, budget.limit / 2 / Math.max(1, running()))),
    onRetry: tryingAgain(deps, "log"),
  });
