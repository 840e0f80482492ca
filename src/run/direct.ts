import { type CaptureRecord, CaptureStore } from "#capture/captureStore.ts";
import type { CopyOrder } from "#capture/copyOrder.ts";
import type { CaptureOutput } from "#capture/output.ts";
import { OwnCapture, type OwnCaptureDeps } from "#capture/ownCapture.ts";
import type { Scope, ScopeSpec } from "#capture/scope.ts";
import { listNamespaces } from "#capture/sourceProbe.ts";
import { featuresOf } from "#capture/sourceStream.ts";
import { removeSpools } from "#capture/spool.ts";
import type { DdlRules, Route } from "#config/routes.ts";
import type { ErrorCode } from "#errors/catalogue.ts";
import { FerryError } from "#errors/ferryError.ts";
import type { Clock } from "#flow/clock.ts";
import { TaskGroup } from "#flow/taskGroup.ts";
import { formatNamespace, type Namespace } from "#flow/types.ts";
import { LaneStore } from "#lanes/laneStore.ts";
import { MemoryLog, type TopicStart } from "#log/memoryLog.ts";
import { connectMongo, type MongoClient } from "#mongo/connect.ts";
import type { Logger } from "#observe/log.ts";
import {
  checkDeployments,
  checkEmpty,
  checkRights,
  checkScope,
  type Deployment,
  readDeployment,
} from "./captureChecks.ts";
import { scopeOf } from "./captureScope.ts";
import { checkKnown, replaceCapture, startCapture } from "./captureStart.ts";
import { CarriedStructure } from "./carriedStructure.ts";
import { type CopySourceDeps, openCopySource } from "./copySource.ts";
import { leftoversOn } from "./leftovers.ts";
import { RunLifecycle, requireUnfinished } from "./lifecycle.ts";
import { routesOn } from "./routesOn.ts";
import { decidedBy, withTimeSeries } from "./timeSeries.ts";
import { unlessStopped } from "./unlessStopped.ts";
import { Worker } from "./worker.ts";
import type { WorkerOptions } from "./workerOptions.ts";

export type DirectDeps = Pick<CopySourceDeps, "readPreference" | "maxSourceLoad"> &
  Readonly<{
    settings: Readonly<{ source: string; target: string; stateDb: string; group: string }>;
    options: WorkerOptions;
    spec: ScopeSpec;
    routes: readonly Route[] | undefined;
    ddl: DdlRules;
    /** Ranges that are copied at once, and documents of one of them, about. */
    readers: number;
    rangeDocuments: number;
    /** Where the change stream waits for the end of the copy. */
    spool: OwnCaptureDeps["spool"];
    copyOrder: CopyOrder;
    /** Copy everything again, from a new start. */
    recopy: boolean;
    /** Build collections' options, indexes and views before the copy. */
    structure: boolean;
    /** Empty what is carried on the target first, and begin anew. */
    replaceTarget: boolean;
    logger: Logger;
    clock: Clock;
    runId: string;
    host: string;
    version: string;
    soft: AbortSignal;
    hard: AbortSignal;
  }>;

/** Lowest and highest position of a topic's lanes. */
const lanePositions = async (
  lanes: LaneStore,
): Promise<ReadonlyMap<string, Readonly<{ low: number; high: number }>>> => {
  const found = new Map<string, { low: number; high: number }>();
  for (const { topic, offset } of await lanes.positions()) {
    const known = found.get(topic);
    if (known === undefined) found.set(topic, { low: offset, high: offset });
    else {
      known.low = Math.min(known.low, offset);
      known.high = Math.max(known.high, offset);
    }
  }
  return found;
};

/** How often halted routes are looked for, ms. */
const HALT_MS = 500;

/**
 * `ferry run`: capture, a log in memory and the worker's lanes in one process. Everything it must remember is on the target.
 * @throws one clear sentence before anything is written; later what made it stop
 */
export const runDirect = async (deps: DirectDeps): Promise<void> => {
  const { settings, runId } = deps;
  await using clients = new AsyncDisposableStack();
  const open = async (uri: string): Promise<MongoClient> => {
    const client = await connectMongo(uri, { appName: runId });
    clients.defer(() => client.close());
    return client;
  };
  const [source, target] = [await open(settings.source), await open(settings.target)];
  await unlessStopped(runBetween(deps, source, target), deps.hard);
};

const runBetween = async (deps: DirectDeps, source: MongoClient, target: MongoClient): Promise<void> => {
  const { settings, options, logger, clock, soft, runId } = deps;
  const { stateDb } = settings;
  const [deployment, other] = [await readDeployment(source), await readDeployment(target)];
  checkDeployments(deployment, other);
  const scope = scopeOf(deps.spec, deps.routes, stateDb);
  const store = new CaptureStore(target, stateDb, runId, options.leaseMs);
  const lanes = new LaneStore({
    client: target,
    stateDb,
    workerId: runId,
    leaseMs: options.leaseMs,
    transactional: false,
  });
  const start = {
    source,
    deployment,
    scope,
    store,
    mode: "direct" as const,
    leaseMs: options.leaseMs,
    rangeDocuments: deps.rangeDocuments,
    copyOrder: deps.copyOrder,
    clock,
    logger,
    soft,
  };
  const remembered = await store.read();
  if (remembered !== undefined) checkKnown(remembered, start);
  const replaces = deps.replaceTarget || remembered?.phase === "replacing";
  if (remembered !== undefined && !replaces) requireUnfinished(remembered, deps.recopy);
  const known = replaces ? undefined : remembered;
  const { timeSeries, existing } = await withTimeSeries(
    {
      source,
      deployments: { source: deployment, target: other },
      scope,
      decided: decidedBy(known, deps.recopy),
      logger,
    },
    await listNamespaces(source, scope.watch),
  );
  const carried = known === undefined ? checkScope(scope, existing) : existing.filter((ns) => scope.has(ns));
  const routes = carried.flatMap((ns) => routesOn(deps.routes, formatNamespace(ns)));
  await checkRights({ source, target, scope, carried, routes, stateDb });
  if (known === undefined && !replaces) await checkEmpty(target, lanes, routes, options);
  const structure = new CarriedStructure({ ...deps, leaseMs: options.leaseMs }, source, target);
  if (known === undefined && (deps.structure || replaces)) await structure.check(replaces);
  if (replaces) await replaceCapture(start, () => structure.replace());
  if (replaces && remembered !== undefined) await removeSpools(deps.spool.dir, remembered.id);

  await startCapture({ ...start, timeSeries }, carried, deps.recopy);
  const lifecycle = new RunLifecycle({ ...deps, store, leaseMs: options.leaseMs, writesTo: "the target" });
  let goesOn = known !== undefined && !deps.recopy;
  const drained = await lifecycle.run((record, ending) => {
    const setup = { source, target, deployment, scope, store, lanes, structure, carried, routes, goesOn };
    goesOn = true;
    return carry({ ...deps, soft: ending }, setup, record);
  });
  if (drained) await lifecycle.finalize(() => structure.finalize(soft));
  await store.release();
};

/** What is set up once for a run, and used by each of its sessions. */
type Setup = Readonly<{
  source: MongoClient;
  target: MongoClient;
  deployment: Deployment;
  scope: Scope;
  store: CaptureStore;
  lanes: LaneStore;
  structure: CarriedStructure;
  carried: readonly Namespace[];
  routes: readonly Route[];
  /** An earlier session has begun the copy. */
  goesOn: boolean;
}>;

/** One session: structure, copy and stream from where the record stands, until `soft` aborts. */
const carry = async (deps: DirectDeps, setup: Setup, record: CaptureRecord): Promise<void> => {
  const { settings, options, logger, clock, soft, hard, runId } = deps;
  const { source, target, deployment, scope, store, lanes, structure, carried, routes, goesOn } = setup;
  // Behind the start position: what changes from here on is in the stream, and followed.
  if (deps.structure && record.phase === "copy") await structure.build(goesOn);
  const positions = await lanePositions(lanes);
  const saved = new Map(record.topics.map(({ name, next }) => [name, Number(next)]));
  const log = new MemoryLog({
    id: record.id,
    limitBytes: options.budgetMb * 1024 * 1024,
    readersOf: (topic) => routesOn(deps.routes, topic).map(({ name }) => name),
  });
  const startOf = (topic: string): TopicStart => {
    const { low, high } = positions.get(topic) ?? { low: 0, high: 0 };
    const next = saved.get(topic) ?? 0;
    // A copy is not repeated in the same order: what it brings now comes behind everything that lanes have seen.
    if (record.phase === "copy") return { first: low, next: Math.max(next, high), high: Math.max(next, high) };
    return { first: next, next, high: Math.max(next, high) };
  };
  const output: CaptureOutput = {
    open: async (topic) => log.open(topic, startOf(topic)),
    append: (topic, records, bytes, signal) => log.append(topic, records, bytes, signal),
    ends: () => log.ends(),
    settledTo: (ends, signal) => log.settledTo(ends, signal),
  };
  for (const { name } of record.topics) await output.open(name);
  await using copySource = openCopySource(source, record.phase === "copy" ? carried[0] : undefined, deps);
  const capture = new OwnCapture({
    source,
    copySource,
    features: featuresOf(deployment.version, record.timeSeries === true),
    store,
    record,
    scope,
    output,
    readers: deps.readers,
    leaseMs: options.leaseMs,
    spool: deps.spool,
    leftovers: leftoversOn(source, target, deps.routes, options, logger),
    clock,
    logger,
  });
  await using tasks = new TaskGroup(hard);
  const captured = new AbortController();
  await using worker = await Worker.open({
    ...deps,
    settings: { ...settings, target: settings.target },
    log,
    workerId: runId,
    soft: captured.signal,
    hard: tasks.signal,
  });
  tasks.run(async () => {
    await capture.run(soft, tasks.signal);
    captured.abort(soft.reason); // what was read is on the target: now the lanes may go
  });
  tasks.run(() => worker.run());
  tasks.run(() => watchHalts(lanes, routes, clock, AbortSignal.any([captured.signal, tasks.signal])));
  await tasks.settled();
};

/** Nobody takes a halted route's records out of the log: the whole run stops, with the route's own error. */
const watchHalts = async (
  lanes: LaneStore,
  routes: readonly Route[],
  clock: Clock,
  ended: AbortSignal,
): Promise<void> => {
  const names = new Set(routes.map(({ name }) => name));
  const since = clock.now();
  while (!ended.aborted) {
    await clock.sleep(HALT_MS, ended).catch(() => undefined); // woken by the end
    if (ended.aborted) return;
    for (const [route, { halted }] of await lanes
      .readRuns()
      .catch(() => new Map() as Awaited<ReturnType<LaneStore["readRuns"]>>))
      if (halted !== undefined && names.has(route) && halted.at.getTime() >= since)
        throw new FerryError(halted.code as ErrorCode, `${route} is halted: ${halted.detail}`);
  }
};
