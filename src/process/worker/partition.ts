import { DdlPolicy } from "#apply/barrier/ddlPolicy.ts";
import { beginRoute } from "#apply/conflict/beginning.ts";
import type { TargetWatches } from "#apply/conflict/targetWatches.ts";
import type { Claim } from "#apply/lanes/claims.ts";
import { type Beginning, partitionId } from "#apply/lanes/records.ts";
import { ConflictGate } from "#apply/pipeline/conflictGate.ts";
import { CopyGuard } from "#apply/pipeline/copyGuard.ts";
import { DriftGate } from "#apply/pipeline/driftGate.ts";
import { Lane } from "#apply/pipeline/lane.ts";
import { LaneWriter, type LaneWriterDeps } from "#apply/pipeline/laneWriter.ts";
import { Letters } from "#apply/pipeline/letters.ts";
import { Lookup } from "#apply/pipeline/lookup.ts";
import { checkKeys, PartitionRunner } from "#apply/pipeline/partitionRunner.ts";
import { Repairs } from "#apply/pipeline/repairs.ts";
import { settleInserts } from "#apply/pipeline/settleInserts.ts";
import { shaper } from "#apply/pipeline/shape.ts";
import { SpellingGuard } from "#apply/pipeline/spellingGuard.ts";
import { TargetCollation } from "#apply/pipeline/targetCollation.ts";
import type { DdlRules, Route } from "#base/config/routes.ts";
import type { WorkerOptions } from "#base/config/workerOptions.ts";
import { FerryError, isFerry } from "#base/errors/ferryError.ts";
import { unlessAborted } from "#base/flow/abort.ts";
import { BudgetShare, type ByteBudget } from "#base/flow/byteBudget.ts";
import type { Clock } from "#base/flow/clock.ts";
import { every } from "#base/flow/every.ts";
import { type RetryOptions, retryForever } from "#base/flow/retry.ts";
import { TaskGroup } from "#base/flow/taskGroup.ts";
import { type Log, type Namespace, parseNamespace } from "#base/flow/types.ts";
import type { Logger } from "#base/observe/log.ts";
import type { MongoClient } from "#io/mongo/connect.ts";
import type { Throttle } from "#io/pace/throttle.ts";
import { createDecoder, type Decoder } from "#io/wire/decode.ts";
import type { RouteFilter } from "#route/filter/routeFilter.ts";
import { MongoSink } from "#sink/mongo/mongoSink.ts";
import type { ProvenSource } from "#source/stream/deployment.ts";
import { StructureFollower } from "#structure/follow/structureFollower.ts";
import type { Meter } from "./meter.ts";
import type { WorkerStores } from "./workerStores.ts";

export type PartitionContext = WorkerStores &
  Readonly<{
    claim: Claim;
    route: Route;
    filter: RouteFilter | undefined;
    partitionCount: number;
    target: MongoClient;
    source: ProvenSource | undefined;
    watches: TargetWatches;
    log: Log;
    budget: ByteBudget;
    meter: Meter;
    throttle: Throttle | undefined;
    options: WorkerOptions;
    logger: Logger;
    clock: Clock;
    hard: AbortSignal;
    onRetry: NonNullable<RetryOptions["onRetry"]>;
    /** Whose `stateDb` is ferry's database on the target. */
    settings: Readonly<{ stateDb: string }>;
    ddl: DdlRules;
    /** All of the configuration's routes; undefined carries every topic to the namespace of its name. */
    routes: readonly Route[] | undefined;
    /** Codes that the operator takes upon himself while this worker runs. */
    accepted: ReadonlySet<string>;
  }>;

/** A claimed partition at work. */
export type RunningPartition = Readonly<{
  key: string;
  claim: Claim;
  /** Settles when it ended: normally after `stop`, otherwise with what made it fail. */
  done: Promise<void>;
  stop: () => void;
  /** Log time of its oldest unsettled record, ms. */
  oldestMs: () => number | undefined;
  /** Lowest position of its lanes. */
  offset: () => number;
}>;

/** Does the log still hold what the lanes need? @throws FERRY_LOG_TRUNCATED, FERRY_LOG_RECREATED */
const checkBounds = async ({ claim, log, accepted }: PartitionContext): Promise<number> => {
  const { earliest, latest } = await log.bounds(claim.topic);
  const [first, end] = [earliest[claim.partition] ?? 0, latest[claim.partition] ?? 0];
  const lowest = Math.min(...claim.lanes.map((lane) => lane.offset));
  const highest = Math.max(...claim.lanes.map((lane) => lane.offset));
  const where = `${claim.topic} [${claim.partition}]`;
  if (claim.topicId !== undefined && claim.topicId !== (await log.topicId(claim.topic))) {
    throw new FerryError(
      "FERRY_LOG_RECREATED",
      `${where} is another topic of the same name than the one that was applied`,
    );
  }
  if (highest > end)
    throw new FerryError("FERRY_LOG_RECREATED", `${where} ends at offset ${end}, the lanes stand at ${highest}`);
  if (lowest < first && !accepted.has("FERRY_LOG_TRUNCATED")) {
    throw new FerryError("FERRY_LOG_TRUNCATED", `${where} begins at offset ${first}, the lanes stand at ${lowest}`);
  }
  return first;
};

/** How often operators' decisions are looked for, and counts are saved, ms. */
const LOOK_MS = 1000;
/** A batch that takes longer is told of, and again after each such time, ms. */
const SLOW_MS = 10_000;

/**
 * Repeats quiet work beside the lanes until the signal. What passes by itself is left for the next time: the lanes notice a
 * target that is away, and wait for it. Work that waits for a lane that has ended is left behind.
 */
const everySecond = (clock: Clock, ended: AbortSignal, work: () => Promise<void>): Promise<void> =>
  every(LOOK_MS, { clock, ended, first: "later" }, async () => {
    await unlessAborted(work().catch(unlessItPasses), ended);
  });

const unlessItPasses = (error: unknown): void => {
  if (!isFerry(error) || error.entry.retry === "never") throw error;
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
  const { drift: ledger, filter, logger, claim } = context;
  const policy = context.route.drift;
  if (policy.depth === 0) return undefined;
  const where = { route: claim.route, partition: claim.partition };
  const targetPath = (path: string): string | undefined => (filter === undefined ? path : filter.targetPath(path));
  const hasCopy = (): Promise<boolean> => beginsWithCopy(context, decode);
  const deltas = context.source === undefined || context.options.deltas === "apply";
  return DriftGate.open({ where, policy, ledger, targetPath, hasCopy, deltas, logger });
};

/** Undefined where the source owns whole documents: then nobody needs to know what others write. */
const openConflicts = async (
  context: PartitionContext,
  { policy, seed, unsure = false }: Beginning,
  drift: DriftGate | undefined,
): Promise<ConflictGate | undefined> => {
  if (policy === "mirror") return undefined;
  const { claim, route, target: client, marks, conflicts: store, watches } = context;
  if (drift === undefined)
    throw new FerryError("FERRY_TARGET_POLICY", `${claim.route}: ${policy} needs the drift ledger; drift.depth is 0`);
  await drift.learn();
  return new ConflictGate({
    where: { route: claim.route, partition: claim.partition },
    to: route.to,
    policy,
    isSource: (path) => drift.carries(path),
    client,
    watch: await watches.of(claim.route, route.to),
    marks,
    store,
    seed,
    unsure: unsure && policy === "merge",
  });
};

type SharedDeps = Omit<LaneWriterDeps, "drift" | "conflicts" | "collation">;

type LaneParts = Readonly<{ ns: Namespace; sink: MongoSink; copyGuard: CopyGuard; follower: StructureFollower }>;

const laneDeps = (context: PartitionContext, { ns, sink, copyGuard, follower }: LaneParts): SharedDeps => {
  const { store, clock, hard, onRetry, deadLetters, options, logger, source, filter } = context;
  const untilThere = { clock, signal: hard, onRetry };
  const lookup =
    source === undefined ? undefined : new Lookup(source, ns, { what: "looking documents up", ...untilThere });
  const to = parseNamespace(context.route.to);
  return {
    store,
    clock,
    signal: hard,
    onRetry,
    ns,
    sink,
    deadLetters,
    lookup: options.deltas === "look-up" ? lookup : undefined,
    rescue: lookup,
    shape: filter === undefined ? undefined : shaper(filter),
    makeWay: (ops, key) => follower.makeWay(ops, key),
    settleInserts: (ops) =>
      retryForever(() => settleInserts(context.target, to, ops), { what: "looking at what is there", ...untilThere }),
    onError: options.onError,
    // Not the reason: the server's text may hold a value of the document.
    onDead: ({ lane, offset, code, clash }) =>
      logger.warn(
        { lane, offset, code },
        `dead letter${clash === undefined ? "" : `: a value of ${clash.index} is taken`}`,
      ),
    onCopyCollision: (entries) => copyGuard.onCollision(entries),
  };
};

/** Builds everything one claimed partition needs and sets it to work. @throws FERRY_LOG_*, FERRY_MONGO_* */
export const openPartition = async (context: PartitionContext): Promise<RunningPartition> => {
  const { claim, log, options, clock, logger, meter, throttle, hard, deadLetters, partitionCount } = context;
  const ns = parseNamespace(claim.topic);
  const first = await checkBounds(context);
  const decode = createDecoder();
  if (partitionCount > 1)
    checkKeys(await log.peek(claim.topic, claim.partition, first), { claim, partitionCount, decode });
  const sink = new MongoSink(context.target, parseNamespace(context.route.to));
  const begun = await beginRoute(context, sink);
  const { stateDb } = context.settings;
  const follower = new StructureFollower({ ...context, stateDb, sink });
  await follower.prepare();
  const copyGuard = new CopyGuard({ ...context, occupied: begun.occupied });
  const ddl = new DdlPolicy({ ...context, stateDb, follower, policy: begun.policy }, sink);
  const deps = laneDeps(context, { ns, sink, copyGuard, follower });
  const { source, target } = context;
  const collation = await TargetCollation.open({ target, to: parseNamespace(context.route.to), source, from: ns });
  const guard = new SpellingGuard({ ...context, ...begun, isOpen: collation.isOpen });
  const budget = new BudgetShare(context.budget);
  const held = await deadLetters.held(claim.route, claim.partition);
  const drift = await openGate(context, decode);
  const conflicts = await openConflicts(context, begun, drift);
  const reader = log.partition(claim.topic, claim.partition, claim.route);
  const pairs: { lane: Lane; writer: LaneWriter }[] = [];
  const lowest = (): number => Math.min(...pairs.map(({ lane }) => lane.offset));
  for (const [slice, state] of claim.lanes.entries()) {
    const writer = new LaneWriter({ ...deps, collation, drift, conflicts }, state, claim.sessions[slice], held);
    const lane = new Lane({
      writer,
      budget,
      clock,
      batchBytes: options.batchMb * 1024 * 1024,
      batchCount: options.batchCount,
      throttle,
      onApplied: (count, bytes) => {
        meter.applied(count, bytes);
        reader.settled?.(lowest());
      },
    });
    pairs.push({ lane, writer });
  }
  const lanes = pairs.map(({ lane }) => lane);
  reader.awaited?.((offset) => {
    for (const lane of lanes) lane.await(offset);
  });
  const sayWhatIsAwaited = async (): Promise<void> => {
    for (const lane of lanes) {
      const { sinceMs, records: count } = lane.writing ?? { sinceMs: clock.now(), records: 0 };
      const ms = clock.now() - sinceMs;
      // Once in ten seconds: it is looked at once a second.
      if (ms >= SLOW_MS && ms % SLOW_MS < LOOK_MS)
        logger.warn(
          { route: claim.route, count, ms },
          "waiting for the target, which has been writing a batch for long",
        );
    }
  };
  const refresh = async (): Promise<void> => {
    drift?.decide(await context.drift.decisions(claim.route));
    if (conflicts !== undefined) await drift?.learn();
  };
  const letters = new Letters({
    claim,
    ns,
    store: deadLetters,
    decode,
    dropAt: ddl.begunAt,
    lanes: pairs,
    lane: collation.lane,
    held,
    refresh,
  });
  const repairs = new Repairs({
    ...{ claim, source, target, from: ns, to: parseNamespace(context.route.to), store: context.repairs },
    ...{ lanes: pairs, lane: collation.lane },
  });
  const runner = new PartitionRunner({
    claim,
    ns,
    partitionCount,
    reader,
    firstOffset: first,
    decode,
    lanes,
    lane: collation.lane,
    spelled: guard.see,
    budget,
    dropAt: ddl.dropAt,
    onDdl: async (event, record) => {
      await ddl.on(event, record);
      await collation.look(); // another incarnation may compare by another rule
    },
    see: drift === undefined ? undefined : (entry) => drift.see(entry),
    onCopyRun: (copyAt) => copyGuard.onCopyRun(copyAt),
  });
  const soft = new AbortController();
  const work = async (): Promise<void> => {
    using _budget = budget;
    await using _reader = reader;
    await using tasks = new TaskGroup(hard);
    const leaving = AbortSignal.any([soft.signal, tasks.signal]);
    tasks.run(() => runner.run(soft.signal, tasks.signal));
    tasks.run(() => everySecond(clock, leaving, () => letters.look()));
    tasks.run(() => everySecond(clock, leaving, () => repairs.look()));
    tasks.run(() => everySecond(clock, leaving, refresh));
    tasks.run(() => everySecond(clock, leaving, sayWhatIsAwaited));
    const [first] = pairs;
    if (first !== undefined)
      tasks.run(() => everySecond(clock, leaving, () => first.lane.between(() => first.writer.moves.saveDrift())));
    await tasks.settled();
  };
  return {
    key: partitionId(claim.route, claim.partition),
    claim,
    done: work(),
    stop: () => soft.abort(),
    oldestMs: () =>
      lanes
        .map((lane) => lane.oldestMs)
        .reduce((a, b) => (a === undefined || (b !== undefined && b < a) ? b : a), undefined),
    offset: lowest,
  };
};
