import type { Route } from "#base/config/routes.ts";
import type { WorkerOptions } from "#base/config/workerOptions.ts";
import { FerryError, isFerry } from "#base/errors/ferryError.ts";
import type { Clock } from "#base/flow/clock.ts";
import { listed, type NamespaceSpec } from "#base/flow/namespaceFilter.ts";
import { formatNamespace, type Namespace, parseNamespace } from "#base/flow/types.ts";
import type { Logger } from "#base/observe/log.ts";
import type { Vitals } from "#base/observe/vitals.ts";
import type { CaptureOutput } from "#io/log/captureOutput.ts";
import type { MongoClient } from "#io/mongo/connect.ts";
import { type KnownRoute, knownRoutes } from "#io/state/forgetRoutes.ts";
import type { TargetSettings } from "#process/worker/openTarget.ts";
import type { SinkOf } from "#sink/open/openSink.ts";
import { captureSourceOf } from "#source/capture/captureSource.ts";
import type { CaptureRecord, CaptureStore } from "#source/capture/captureStore.ts";
import type { CaptureWish } from "#source/capture/captureWish.ts";
import { OwnCapture } from "#source/capture/ownCapture.ts";
import { StandingLag } from "#source/capture/unapplied.ts";
import type { CopySource } from "#source/copy/copySource.ts";
import type { CopySourceDeps } from "#source/copy/steadyCopySource.ts";
import { Spool, type SpoolSettings } from "#source/spool/spool.ts";
import type { SpoolOwner } from "#source/spool/spoolChain.ts";
import { readDeployment } from "#source/stream/deployment.ts";
import type { ResumeToken } from "#source/stream/resumeToken.ts";
import { listNamespaces } from "#source/stream/sourceProbe.ts";
import { featuresOf } from "#source/stream/sourceStream.ts";
import { checkDeployments, checkLooking } from "./captureChecks.ts";
import { scopeOf } from "./captureScope.ts";
import { type Back, type CaptureStartDeps, checkKnown, isWider } from "./captureStart.ts";
import { carriedNames, type NamesDeps } from "./carriedNames.ts";
import { leftoversOn } from "./leftovers.ts";
import { requireNoLoop } from "./loopGuard.ts";
import type { Sides } from "./openSides.ts";
import { requireUnfinished } from "./runLifecycle.ts";
import { requireNoServicesOn } from "./servicesThere.ts";
import { decidedBy, withTimeSeries } from "./timeSeries.ts";

/** The options that `ferry run` and `ferry capture` share. */
export type CaptureDeps = Pick<CopySourceDeps, "readPreference" | "maxSourceLoad"> &
  Pick<NamesDeps, "allowEmpty" | "ask"> &
  Readonly<{
    settings: Readonly<{ source: string; group: string }> & TargetSettings;
    spec: NamespaceSpec;
    routes: readonly Route[] | undefined;
    /** Ranges that are copied concurrently, and documents of one of them, about. */
    readers: number;
    rangeDocuments: number;
    /** Where the change stream waits for the end of the copy. */
    spool: SpoolSettings;
    copyOrder: CaptureStartDeps["copyOrder"];
    /** Copy everything again, from a new start. */
    recopy: boolean;
    /** Build collections' options, indexes and views before the copy. */
    structure: boolean;
    /** Carries back after cutovers; undefined: forward. */
    back?: Back | undefined;
    /** Empty the selected collections on the target (and their topics) first, and start over. */
    replaceTarget: boolean;
    logger: Logger;
    vitals: Vitals;
    clock: Clock;
    runId: string;
    soft: AbortSignal;
    hard: AbortSignal;
  }>;

/** Gives the capture back at the end of `work`, with what it ended with where that is an error. @throws what `work` throws */
export const leaving = async (
  { clock, hard }: Pick<CaptureDeps, "clock" | "hard">,
  store: CaptureStore,
  work: () => Promise<void>,
): Promise<void> => {
  try {
    await work();
  } catch (error) {
    const { code, detail } = isFerry(error) ? error : new FerryError("FERRY_BUG", String(error));
    // For later status only: the error itself is what counts.
    if (!hard.aborted) await store.leaveWith({ code, detail, at: new Date(clock.now()) }).catch(() => undefined);
    throw error;
  }
  await store.release();
};

/** How far a paused capture falls behind, from its saved position on. */
export const standingLagOf =
  ({ source, scope, clock }: Pick<CaptureStartDeps, "source" | "scope" | "clock">) =>
  (record: CaptureRecord): ((signal: AbortSignal) => Promise<number>) => {
    const lag = new StandingLag(source, { scope, timeSeries: record.timeSeries === true }, record.token, clock);
    return (signal) => lag.age(signal);
  };

/** A capture before its start. */
export type Opening = Readonly<{
  start: CaptureStartDeps;
  /** Starts over, in spite of saved state. */
  replaces: boolean;
  /** The capture that is resumed. */
  known: CaptureRecord | undefined;
  /** Routes of former captures that a new one forgets; empty where the capture is resumed. */
  former: readonly KnownRoute[];
  /** Of the source: what is there and meant. */
  carried: readonly Namespace[];
}>;

/**
 * Looks at both sides, and at what is noted. Writes nothing.
 * @throws one clear sentence where this cannot be captured, is another capture than the noted one, or a name means nothing
 */
export const openCapture = async (
  deps: CaptureDeps,
  { source, target, state }: Sides,
  { store, mode, leaseMs, accept }: Pick<CaptureStartDeps, "store" | "mode" | "leaseMs"> & Readonly<{ accept: string }>,
): Promise<Opening> => {
  const { rangeDocuments, copyOrder, recopy, back, allowEmpty, ask, clock, logger, soft } = deps;
  const [deployment, other] = await Promise.all([readDeployment(source), readDeployment(target)]);
  checkDeployments(deployment, other, { mayBeOne: deps.settings.target === undefined });
  const scope = scopeOf(deps.spec, deps.routes, state.name);
  await checkLooking({ source, state }, scope);
  const remembered = await store.read();
  // A fresh start may use other names; its lease protects a live capture.
  if (remembered !== undefined && !deps.replaceTarget) checkKnown(remembered, { deployment, scope, mode, back });
  const replaces = deps.replaceTarget || remembered?.phase === "replacing";
  const known = replaces ? undefined : remembered;
  if (known !== undefined && !isWider(back, known)) requireUnfinished(known, recopy);
  const deployments = { source: deployment, target: other };
  const found = await listNamespaces(source, scope.watch);
  const { timeSeries, existing: carried } = await withTimeSeries(
    { source, deployments, scope, decided: decidedBy(known, recopy), logger },
    known === undefined
      ? await carriedNames({ source, scope, allowEmpty, ask, logger }, found)
      : found.filter((ns) => scope.has(ns)),
  );
  const isFormer = ({ topic, topicId }: KnownRoute): boolean =>
    scope.has(parseNamespace(topic)) || (remembered !== undefined && topicId === remembered.id);
  const former = replaces ? await knownRoutes(state, isFormer) : [];
  if (deps.replaceTarget && !listed(accept).includes("FERRY_REPLACE_SWITCHED")) {
    const topics = [...carried.map(formatNamespace), ...former.map(({ topic }) => topic)];
    await requireNoServicesOn({ source, target, state }, { routes: deps.routes, topics });
  }
  await requireNoLoop({ source, target: other, state, routes: deps.routes, carried });
  const read = { source, deployment, scope, timeSeries, rangeDocuments, copyOrder, back };
  return { start: { ...read, store, mode, leaseMs, clock, logger, soft }, replaces, known, former, carried };
};

/** One session's copy and stream, from where the record stands into `output`. */
export const sessionOf = (
  deps: CaptureDeps,
  { source, sinkOf }: Readonly<{ source: MongoClient; sinkOf: SinkOf }>,
  { deployment, scope, store, leaseMs }: CaptureStartDeps,
  session: Readonly<{
    record: CaptureRecord;
    copySource: CopySource;
    output: CaptureOutput;
    conflict: WorkerOptions["conflict"];
    wish: CaptureWish;
  }>,
): OwnCapture => {
  const { routes, readers, spool, clock, logger, vitals } = deps;
  const { record, copySource, output, conflict, wish } = session;
  const leftovers = leftoversOn({ source, sinkOf, routes, options: { conflict }, logger });
  const features = featuresOf(deployment.version, record.timeSeries === true);
  const from = captureSourceOf({ source, copySource, features, scope, clock, logger });
  const spools = {
    mode: spool.mode,
    open: (owner: SpoolOwner, at: ResumeToken) => Spool.open(spool, owner, at),
  };
  const read = { source: from, scope, readers, spool: spools, leftovers };
  return new OwnCapture({ ...read, store, record, output, wish, leaseMs, clock, logger, vitals });
};
