import { type CaptureRecord, CaptureStore } from "#capture/captureStore.ts";
import type { CopyOrder } from "#capture/copyOrder.ts";
import { OwnCapture, type OwnCaptureDeps } from "#capture/ownCapture.ts";
import type { Scope, ScopeSpec } from "#capture/scope.ts";
import { listNamespaces } from "#capture/sourceProbe.ts";
import { featuresOf } from "#capture/sourceStream.ts";
import type { Route } from "#config/routes.ts";
import type { Clock } from "#flow/clock.ts";
import type { Namespace } from "#flow/types.ts";
import { KafkaClient } from "#kafka/client.ts";
import { KafkaProducer } from "#kafka/producer.ts";
import { KafkaOutput } from "#log/kafkaOutput.ts";
import { connectMongo, type MongoClient } from "#mongo/connect.ts";
import type { Logger } from "#observe/log.ts";
import { tryingAgain } from "#observe/tryingAgain.ts";
import { checkDeployments, checkRights, checkScope, type Deployment, readDeployment } from "./captureChecks.ts";
import { scopeOf } from "./captureScope.ts";
import { checkKnown, startCapture } from "./captureStart.ts";
import { CarriedStructure } from "./carriedStructure.ts";
import { type CopySourceDeps, openCopySource } from "./copySource.ts";
import { leftoversOn } from "./leftovers.ts";
import { RunLifecycle, requireUnfinished } from "./lifecycle.ts";
import { decidedBy, withTimeSeries } from "./timeSeries.ts";
import { unlessStopped } from "./unlessStopped.ts";

export type KafkaCaptureDeps = Pick<CopySourceDeps, "readPreference" | "maxSourceLoad"> &
  Readonly<{
    settings: Readonly<{ source: string; target: string; kafka: string; stateDb: string; group: string }>;
    spec: ScopeSpec;
    routes: readonly Route[] | undefined;
    /** Partitions of topics that do not exist yet. */
    partitions: number;
    readers: number;
    rangeDocuments: number;
    /** Where the change stream waits for the end of the copy. */
    spool: OwnCaptureDeps["spool"];
    copyOrder: CopyOrder;
    budgetMb: number;
    leaseMs: number;
    recopy: boolean;
    /** Build collections' options, indexes and views before the copy. */
    structure: boolean;
    logger: Logger;
    clock: Clock;
    runId: string;
    soft: AbortSignal;
    hard: AbortSignal;
  }>;

/** Requests that are on their way to Kafka at once. */
const PRODUCERS = 4;

/**
 * `ferry capture`: the source into Kafka topics, in place of the connector. What it must remember is on the target, as all of
 * ferry's state. @throws one clear sentence before anything is written; later what made it stop
 */
export const runKafkaCapture = async (deps: KafkaCaptureDeps): Promise<void> => {
  const { settings, runId } = deps;
  await using stack = new AsyncDisposableStack();
  const open = async (uri: string): Promise<MongoClient> => {
    const client = await connectMongo(uri, { appName: runId });
    stack.defer(() => client.close());
    return client;
  };
  const [source, target] = [await open(settings.source), await open(settings.target)];
  const { kafka: bootstrap, group } = settings;
  const client = stack.use(new KafkaClient({ bootstrap, clientId: runId, group }));
  await client.topics(); // a broker that is not there is said to be so before anything is noted
  await unlessStopped(captureBetween(deps, source, target, client), deps.hard);
};

const captureBetween = async (
  deps: KafkaCaptureDeps,
  source: MongoClient,
  target: MongoClient,
  client: KafkaClient,
): Promise<void> => {
  const { settings, logger, clock, soft, runId, leaseMs, rangeDocuments, copyOrder } = deps;
  const { stateDb } = settings;
  const [deployment, other] = [await readDeployment(source), await readDeployment(target)];
  checkDeployments(deployment, other);
  const scope = scopeOf(deps.spec, deps.routes, stateDb);
  const store = new CaptureStore(target, stateDb, runId, leaseMs);
  const start = {
    source,
    deployment,
    scope,
    store,
    mode: "kafka" as const,
    leaseMs,
    rangeDocuments,
    copyOrder,
    clock,
    logger,
    soft,
  };
  const known = await store.read();
  if (known !== undefined) checkKnown(known, start);
  if (known !== undefined) requireUnfinished(known, deps.recopy);
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
  await checkRights({ source, target, scope, carried, routes: [], stateDb });
  const structure = deps.structure ? new CarriedStructure(deps, source, target) : undefined;
  if (known === undefined) await structure?.check(false);

  await startCapture({ ...start, timeSeries }, carried, deps.recopy);
  const lifecycle = new RunLifecycle({ ...deps, store, writesTo: "Kafka" });
  let goesOn = known !== undefined && !deps.recopy;
  const drained = await lifecycle.run((record, ending) => {
    const setup = { source, target, client, deployment, scope, store, structure, carried, goesOn };
    goesOn = true;
    return captureInto({ ...deps, soft: ending }, setup, record);
  });
  if (drained)
    logger.info(
      { stage: "finalize" },
      "drained: everything is in Kafka, and `ferry finalize` goes on with the workers",
    );
  await store.release();
};

/** What is set up once, and used by each session of a capture. */
type Setup = Readonly<{
  source: MongoClient;
  target: MongoClient;
  client: KafkaClient;
  deployment: Deployment;
  scope: Scope;
  store: CaptureStore;
  structure: CarriedStructure | undefined;
  carried: readonly Namespace[];
  /** An earlier session has begun the copy. */
  goesOn: boolean;
}>;

/** One session: structure, copy and stream from where the record stands, until `soft` aborts. */
const captureInto = async (deps: KafkaCaptureDeps, setup: Setup, record: CaptureRecord): Promise<void> => {
  const { settings, logger, clock, soft, hard, runId, leaseMs, readers } = deps;
  const { source, target, client, deployment, scope, store, structure, carried, goesOn } = setup;
  // Behind the start position: what changes from here on is in the stream, and followed.
  if (record.phase === "copy") await structure?.build(goesOn);
  const onRetry = tryingAgain(logger, "kafka");
  await using output = new KafkaOutput({
    client,
    producers: Array.from(
      { length: Math.min(PRODUCERS, deps.partitions) },
      (_, i) => new KafkaProducer({ bootstrap: settings.kafka, clientId: `${runId}-${i}`, clock, onRetry }),
    ),
    partitions: deps.partitions,
    limitBytes: deps.budgetMb * 1024 * 1024,
    clock,
  });
  logger.info({ stage: "capture" }, `writing to Kafka at ${settings.kafka}`);
  await using copySource = openCopySource(source, record.phase === "copy" ? carried[0] : undefined, deps);
  const capture = new OwnCapture({
    source,
    copySource,
    features: featuresOf(deployment.version, record.timeSeries === true),
    store,
    record,
    scope,
    output,
    readers,
    leaseMs,
    spool: deps.spool,
    leftovers: leftoversOn(source, target, deps.routes, { conflict: "mirror" }, logger),
    clock,
    logger,
  });
  await capture.run(soft, hard);
};
