import { type CaptureRecord, CaptureStore } from "#capture/captureStore.ts";
import type { CopySource } from "#capture/copySource.ts";
import type { CaptureOutput } from "#capture/output.ts";
import { OwnCapture, type OwnCaptureDeps } from "#capture/ownCapture.ts";
import type { ScopeSpec } from "#capture/scope.ts";
import { listNamespaces } from "#capture/sourceProbe.ts";
import { featuresOf } from "#capture/sourceStream.ts";
import type { Route } from "#config/routes.ts";
import type { Clock } from "#flow/clock.ts";
import type { Namespace } from "#flow/types.ts";
import { connectMongo, type MongoClient } from "#mongo/connect.ts";
import type { Logger } from "#observe/log.ts";
import { checkDeployments, checkLooking, checkScope, type Deployment, readDeployment } from "./captureChecks.ts";
import { scopeOf } from "./captureScope.ts";
import { type CaptureStartDeps, checkKnown } from "./captureStart.ts";
import type { CopySourceDeps } from "./copySource.ts";
import { leftoversOn } from "./leftovers.ts";
import { requireUnfinished } from "./lifecycle.ts";
import { decidedBy, withTimeSeries } from "./timeSeries.ts";
import { unlessStopped } from "./unlessStopped.ts";
import type { WorkerOptions } from "./workerOptions.ts";

/** What `ferry run` and `ferry capture` are told alike. */
export type CaptureDeps = Pick<CopySourceDeps, "readPreference" | "maxSourceLoad"> &
  Readonly<{
    settings: Readonly<{ source: string; target: string; stateDb: string; group: string }>;
    spec: ScopeSpec;
    routes: readonly Route[] | undefined;
    /** Ranges that are copied at once, and documents of one of them, about. */
    readers: number;
    rangeDocuments: number;
    /** Where the change stream waits for the end of the copy. */
    spool: OwnCaptureDeps["spool"];
    copyOrder: CaptureStartDeps["copyOrder"];
    /** Copy everything again, from a new start. */
    recopy: boolean;
    /** Build collections' options, indexes and views before the copy. */
    structure: boolean;
    /** Empty what is carried on the target (and its topics) first, and begin anew. */
    replaceTarget: boolean;
    logger: Logger;
    clock: Clock;
    runId: string;
    soft: AbortSignal;
    hard: AbortSignal;
  }>;

/** Both sides of a capture, connected. */
export type Sides = Readonly<{ source: MongoClient; target: MongoClient }>;

/** Connects both sides for as long as `work` takes, or until `hard` aborts. @throws FERRY_MONGO_*, and what `work` throws */
export const betweenSides = async (
  { settings, runId, hard }: Pick<CaptureDeps, "settings" | "runId" | "hard">,
  work: (sides: Sides) => Promise<void>,
): Promise<void> => {
  await using clients = new AsyncDisposableStack();
  const open = async (uri: string): Promise<MongoClient> => {
    const client = await connectMongo(uri, { appName: runId });
    clients.defer(() => client.close());
    return client;
  };
  const [source, target] = [await open(settings.source), await open(settings.target)];
  await unlessStopped(work({ source, target }), hard);
};

/** A capture before its start. */
export type Opening = Readonly<{
  start: Omit<CaptureStartDeps, "timeSeries">;
  deployments: Readonly<{ source: Deployment; target: Deployment }>;
  /** What an earlier start has noted. */
  remembered: CaptureRecord | undefined;
  /** Begins anew, whatever was noted. */
  replaces: boolean;
  /** What is gone on with. */
  known: CaptureRecord | undefined;
}>;

/** Looks at both sides, and at what is noted. Writes nothing. @throws one clear sentence where this cannot be captured, or is another capture than the noted one */
export const openCapture = async (
  deps: CaptureDeps,
  { source, target }: Sides,
  { mode, leaseMs }: Pick<CaptureStartDeps, "mode" | "leaseMs">,
): Promise<Opening> => {
  const { settings, rangeDocuments, copyOrder, clock, logger, soft } = deps;
  const [deployment, other] = [await readDeployment(source), await readDeployment(target)];
  checkDeployments(deployment, other);
  const deployments = { source: deployment, target: other };
  const scope = scopeOf(deps.spec, deps.routes, settings.stateDb);
  await checkLooking({ source, target }, scope, settings.stateDb);
  const store = new CaptureStore(target, settings.stateDb, deps.runId, leaseMs);
  const read = { source, deployment, scope, rangeDocuments, copyOrder };
  const start = { ...read, store, mode, leaseMs, clock, logger, soft };
  const remembered = await store.read();
  if (remembered !== undefined) checkKnown(remembered, start);
  const replaces = deps.replaceTarget || remembered?.phase === "replacing";
  const known = replaces ? undefined : remembered;
  if (known !== undefined) requireUnfinished(known, deps.recopy);
  return { start, deployments, remembered, replaces, known };
};

/** What is carried, and whether the buckets of time series are in it. */
export type Carried = Readonly<{ carried: readonly Namespace[]; timeSeries: boolean }>;

/**
 * Namespaces that are there and are carried.
 * @throws FERRY_SOURCE_NOTHING before a first start where a name means nothing, FERRY_SERVER_TOO_OLD, FERRY_MONGO_*
 */
export const carriedOf = async (
  { recopy, logger }: Pick<CaptureDeps, "recopy" | "logger">,
  { start, deployments, known }: Opening,
): Promise<Carried> => {
  const { source, scope } = start;
  const found = await listNamespaces(source, scope.watch);
  // Also of time series that are built empty: their names mean something.
  const named = known === undefined ? checkScope(scope, found) : found.filter((ns) => scope.has(ns));
  if (known === undefined)
    for (const name of scope.idleExclusions(found))
      logger.warn({ stage: "copy" }, `--exclude ${name} leaves nothing out: no collection of the source fits it yet`);
  const { timeSeries, existing } = await withTimeSeries(
    { source, deployments, scope, decided: decidedBy(known, recopy), logger },
    named,
  );
  return { carried: existing, timeSeries };
};

/** One session's copy and stream, from where the record stands into `output`. */
export const sessionOf = (
  deps: CaptureDeps,
  { source, target }: Sides,
  { deployment, scope, store, leaseMs }: CaptureStartDeps,
  session: Readonly<{
    record: CaptureRecord;
    copySource: CopySource;
    output: CaptureOutput;
    conflict: WorkerOptions["conflict"];
  }>,
): OwnCapture => {
  const { routes, readers, spool, clock, logger } = deps;
  const { record, copySource, output, conflict } = session;
  const leftovers = leftoversOn(source, target, routes, { conflict }, logger);
  const features = featuresOf(deployment.version, record.timeSeries === true);
  const read = { source, copySource, features, scope, readers, spool, leftovers };
  return new OwnCapture({ ...read, store, record, output, leaseMs, clock, logger });
};
