import { DdlPolicy } from "#apply/barrier/ddlPolicy.ts";
import { beginRoute } from "#apply/conflict/beginning.ts";
import type { TargetWatches } from "#apply/conflict/targetWatches.ts";
import type { Claim } from "#apply/lanes/claims.ts";
import { type LaneCommit, outsideCommit, transactionalCommit } from "#apply/lanes/laneCommit.ts";
import type { Beginning } from "#apply/lanes/laneRecords.ts";
import { ConflictGate } from "#apply/pipeline/conflictGate.ts";
import { CopyGuard } from "#apply/pipeline/copyGuard.ts";
import { DriftGate } from "#apply/pipeline/driftGate.ts";
import { FilterCollation } from "#apply/pipeline/filterCollation.ts";
import { LaneWriter, type LaneWriterDeps } from "#apply/pipeline/laneWriter.ts";
import { Lookup } from "#apply/pipeline/lookup.ts";
import { checkKeys } from "#apply/pipeline/partitionRunner.ts";
import { Repairs } from "#apply/pipeline/repairs.ts";
import { RunningPartition } from "#apply/pipeline/runningPartition.ts";
import { settleInserts } from "#apply/pipeline/settleInserts.ts";
import { shaper } from "#apply/pipeline/shape.ts";
import { SpellingGuard } from "#apply/pipeline/spellingGuard.ts";
import { TargetCollation } from "#apply/pipeline/targetCollation.ts";
import { isMongo, targetNamespace } from "#base/config/destination.ts";
import type { DdlRules, Route } from "#base/config/routes.ts";
import type { WorkerOptions } from "#base/config/workerOptions.ts";
import { FerryError } from "#base/errors/ferryError.ts";
import { BudgetShare, type ByteBudget } from "#base/flow/byteBudget.ts";
import type { Clock } from "#base/flow/clock.ts";
import { type RetryOptions, retryForever } from "#base/flow/retry.ts";
import type { StateSession } from "#base/flow/stateTx.ts";
import { type Log, parseNamespace } from "#base/flow/types.ts";
import type { Logger } from "#base/observe/log.ts";
import type { Vitals } from "#base/observe/vitals.ts";
import type { MongoClient } from "#io/mongo/connect.ts";
import type { Throttle } from "#io/pace/throttle.ts";
import type { StateDb } from "#io/state/stateDb.ts";
import { createDecoder, type Decoder } from "#io/wire/decode.ts";
import type { RouteFilter } from "#route/filter/routeFilter.ts";
import type { SinkOf } from "#sink/open/openSink.ts";
import type { Sink } from "#sink/sink.ts";
import type { ProvenSource } from "#source/stream/deployment.ts";
import { documentsOf } from "#source/stream/sourceDocuments.ts";
import { StructureFollower } from "#structure/follow/structureFollower.ts";
import type { Meter } from "./meter.ts";
import { settledCounter } from "./settledCounter.ts";
import type { WorkerStores } from "./workerStores.ts";

export type PartitionContext = Readonly<{
  stores: WorkerStores;
  claim: Claim;
  route: Route;
  filter: RouteFilter | undefined;
  partitionCount: number;
  target: MongoClient;
  source: ProvenSource | undefined;
  sinkOf: SinkOf;
  watches: TargetWatches;
  log: Log;
  budget: ByteBudget;
  /** Of partitions whose sinks take small batches only, since they are slow. */
  aside: ByteBudget;
  meter: Meter;
  throttle: Throttle | undefined;
  options: WorkerOptions;
  logger: Logger;
  vitals: Vitals;
  clock: Clock;
  hard: AbortSignal;
  onRetry: NonNullable<RetryOptions["onRetry"]>;
  state: StateDb;
  ddl: DdlRules;
  /** All of the configuration's routes; undefined carries every topic to the namespace of its name. */
  routes: readonly Route[] | undefined;
  /** Error codes accepted with --accept while this worker runs. */
  accepted: ReadonlySet<string>;
}>;

/** Does the log still hold what the lanes need? @throws FERRY_LOG_TRUNCATED, FERRY_LOG_RECREATED */
const checkBounds = async ({ claim, log, accepted }: PartitionContext): Promise<number> => {
  const { earliest, latest } = await log.bounds(claim.topic);
  const [first, end] = [earliest[claim.partition] ?? 0, latest[claim.partition] ?? 0];
  const lowest = Math.min(...claim.lanes.map((lane) => lane.offset));
  const highest = Math.max(...claim.lanes.map((lane) => lane.offset));
  const where = `${claim.topic} [${claim.partition}]`;
  if (claim.topicId !== undefined && claim.topicId !== (await log.topicId(claim.topic))) {
    throw new FerryError("FERRY_LOG_RECREATED", `${where} is another topic with the same name than the applied one`);
  }
  if (highest > end)
    throw new FerryError("FERRY_LOG_RECREATED", `${where} ends at offset ${end}, the lanes are at ${highest}`);
  if (lowest < first && !accepted.has("FERRY_LOG_TRUNCATED")) {
    throw new FerryError("FERRY_LOG_TRUNCATED", `${where} begins at offset ${first}, the lanes are at ${lowest}`);
  }
  return first;
};

/** Does the topic begin with copied records? */
const beginsWithCopy = async ({ claim, log, partitionCount }: PartitionContext, decode: Decoder): Promise<boolean> => {
  const { earliest } = await log.bounds(claim.topic);
  for (let index = 0; index < partitionCount; index++) {
    const [first] = await log.peek(claim.topic, index, earliest[index] ?? 0);
    if (first !== undefined && decode(first).event?.origin === "copy") return true;
  }
  return false;
};

const openGate = async (context: PartitionContext, decode: Decoder): Promise<DriftGate | undefined> => {
  const { stores, filter, logger, vitals, claim } = context;
  const policy = context.route.drift;
  if (policy.depth === 0) return undefined;
  const where = { route: claim.route, partition: claim.partition };
  const targetPath = (path: string): string | undefined => (filter === undefined ? path : filter.targetPath(path));
  const hasCopy = (): Promise<boolean> => beginsWithCopy(context, decode);
  const deltas = context.source === undefined || context.options.deltas === "apply";
  return DriftGate.open({ where, policy, ledger: stores.drift, targetPath, hasCopy, deltas, logger, vitals });
};

/** Undefined where the source owns whole documents: then writes of others do not matter. */
const openConflicts = async (
  context: PartitionContext,
  { policy, seed, unsure = false }: Beginning,
  sink: Sink,
  drift: DriftGate | undefined,
): Promise<ConflictGate | undefined> => {
  if (policy === "mirror") return undefined;
  const { claim, route, stores, watches } = context;
  const { marks, conflicts: store } = stores;
  if (drift === undefined)
    throw new FerryError("FERRY_TARGET_POLICY", `${claim.route}: ${policy} needs the drift ledger; drift.depth is 0`);
  await drift.learn();
  return new ConflictGate({
    where: { route: claim.route, partition: claim.partition },
    sink,
    policy,
    isSource: (path) => drift.carries(path),
    watch: await watches.of(claim.route, targetNamespace(route)),
    marks,
    store,
    seed,
    unsure: unsure && policy === "merge",
  });
};

/** What the lanes of a partition share. */
type LaneParts = Pick<LaneWriterDeps, "ns" | "sink" | "collation" | "drift" | "conflicts"> &
  Readonly<{ copyGuard: CopyGuard; follower: StructureFollower }>;

type SharedDeps = Omit<LaneWriterDeps, "commit">;

const laneDeps = (context: PartitionContext, parts: LaneParts): SharedDeps => {
  const { ns, sink, collation, drift, conflicts, copyGuard, follower } = parts;
  const { clock, hard, onRetry, stores, options, logger, vitals, claim, source, filter } = context;
  const untilThere = { clock, signal: hard, onRetry };
  const lookup =
    source === undefined
      ? undefined
      : new Lookup(documentsOf(source, ns), { what: "looking documents up", ...untilThere });
  return {
    clock,
    ...{ ns, sink, collation, drift, conflicts },
    deadLetters: stores.deadLetters,
    lookup: options.deltas === "look-up" ? lookup : undefined,
    rescue: lookup,
    shape: filter === undefined ? undefined : shaper(filter),
    makeWay: (ops, key) => follower.makeWay(ops, key),
    settleInserts: (ops) =>
      retryForever(() => settleInserts(sink, ops), { what: "looking at what is there", ...untilThere }),
    onError: options.onError,
    onSettled: settledCounter(vitals, claim.route),
    onDead: ({ lane, offset, code, clash }) => {
      vitals.count("ferry_dead_letters_total", { route: claim.route, code });
      // Not the reason: the server's text may hold a value of the document.
      logger.warn(
        { lane, offset, code },
        `dead letter${clash === undefined ? "" : `: a value of ${clash.index} is taken`}`,
      );
    },
    onCopyCollision: (entries) => copyGuard.onCollision(entries),
  };
};

const commitOf = (context: PartitionContext, sink: Sink, session: StateSession | undefined): LaneCommit => {
  const { stores, clock, hard: signal, onRetry } = context;
  const isContended = (error: unknown): boolean => sink.refusal(error)?.kind === "contended";
  const deps = { positions: stores.positions, isContended, clock, signal, onRetry };
  return sink.can.transactions && session !== undefined
    ? transactionalCommit(deps, session)
    : outsideCommit(deps, session);
};

/** Documents among ferry's own positions would be taken for them. @throws FERRY_STRUCTURE_REFUSED */
const requireForeign = (route: Route, { state, target }: PartitionContext): void => {
  if (isMongo(route) && state.client === target && targetNamespace(route).db === state.name)
    throw new FerryError(
      "FERRY_STRUCTURE_REFUSED",
      `${route.name}: ${state.name} is ferry's own database on the target`,
    );
};

/** Builds everything one claimed partition needs and sets it to work. @throws FERRY_LOG_*, FERRY_MONGO_* */
export const openPartition = async (context: PartitionContext): Promise<RunningPartition> => {
  const { claim, route, partitionCount, stores, state, options, ddl: rules, routes, accepted } = context;
  const { target, source, sinkOf, log, meter, throttle, clock, logger, vitals, hard } = context;
  const { deadLetters, drops, runs, marks, repairs, journal } = stores;
  const ns = parseNamespace(claim.topic);
  const firstOffset = await checkBounds(context);
  const decode = createDecoder();
  if (partitionCount > 1)
    checkKeys(await log.peek(claim.topic, claim.partition, firstOffset), { claim, partitionCount, decode });
  requireForeign(route, context);
  const sink = sinkOf(route);
  const begun = await beginRoute({ claim, route, options, runs, marks, accepted, logger, clock, hard }, sink);
  const follower = new StructureFollower({
    ...{ source, target, state, journal, route, sink, sinkOf, clock, logger, hard },
  });
  await follower.prepare();
  const copyGuard = new CopyGuard({
    ...{ claim, store: stores.store, connectors: stores.connectors, logger, accepted },
    occupied: begun.occupied,
  });
  const ddl = new DdlPolicy(
    {
      ...{ claim, partitionCount, source, target, state, journal, log, runs, drops },
      ...{ options, routes, accepted, clock, logger, hard },
      ...{ ddl: rules, sinkOf, follower, policy: begun.policy },
    },
    sink,
  );
  const to = isMongo(route) ? targetNamespace(route) : undefined;
  const collation = await TargetCollation.open({ target, to, source, from: ns });
  const filtered = await FilterCollation.open({ route, from: ns, source, target, logger });
  const guard = new SpellingGuard({
    claim,
    partitionCount,
    policy: begun.policy,
    runs,
    accepted,
    isOpen: collation.isOpen,
  });
  const held = await deadLetters.held(claim.route, claim.partition);
  const drift = await openGate(context, decode);
  const conflicts = await openConflicts(context, begun, sink, drift);
  const shared = laneDeps(context, { ns, sink, collation, drift, conflicts, copyGuard, follower });
  const writers = claim.lanes.map((state, slice) => {
    const commit = commitOf(context, sink, claim.sessions[slice]);
    return new LaneWriter({ ...shared, commit }, state, held);
  });
  return new RunningPartition({
    claim,
    ns,
    partitionCount,
    writers,
    reader: log.partition(claim.topic, claim.partition, claim.route),
    firstOffset,
    decode,
    deadLetters,
    held,
    budget: new BudgetShare(sink.batchCount === undefined ? context.budget : context.aside),
    batchBytes: options.batchMb * 1024 * 1024,
    batchCount: Math.min(options.batchCount, sink.batchCount ?? options.batchCount),
    throttle,
    onApplied: (records, bytes) => {
      meter.applied(records, bytes);
      vitals.count("ferry_event_bytes_total", { route: claim.route }, bytes);
    },
    lane: collation.lane,
    spelled: guard.see,
    dropAt: ddl.dropAt,
    begunAt: ddl.begunAt,
    onDdl: async (event, record) => {
      await ddl.on(event, record);
      await Promise.all([collation.look(), filtered.look()]); // another incarnation may compare by another rule
    },
    see: drift === undefined ? undefined : (entry) => drift.see(entry),
    onCopyRun: (copyAt) => copyGuard.onCopyRun(copyAt),
    refresh: async () => {
      drift?.decide(await stores.drift.decisions(claim.route));
      if (conflicts !== undefined) await drift?.learn();
    },
    beside: (lanes) => {
      const documents = source && documentsOf(source, ns);
      const due = new Repairs({
        claim,
        source: documents,
        from: ns,
        sink,
        store: repairs,
        lanes,
        lane: collation.lane,
      });
      return [() => due.look()];
    },
    clock,
    logger,
    hard,
  });
};
