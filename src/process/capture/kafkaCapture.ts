import { isMongo, targetNamespace } from "#base/config/destination.ts";
import { formatNamespace, type Namespace, parseNamespace } from "#base/flow/types.ts";
import { tryingAgain } from "#base/observe/tryingAgain.ts";
import { writesOf } from "#cutover/ending/lastLook.ts";
import { kafkaAddress } from "#io/kafka/address.ts";
import { KafkaClient } from "#io/kafka/client.ts";
import { KafkaProducer } from "#io/kafka/producer.ts";
import { KafkaOutput } from "#io/log/kafkaOutput.ts";
import { collationOf } from "#io/mongo/collation.ts";
import { type AwaitedServer, serversOf, throughOutages, whenFirstAnswers } from "#io/mongo/outages.ts";
import { routesOn } from "#route/table/routesOn.ts";
import type { AskedOfTargets } from "#sink/open/demands.ts";
import { openCopySource } from "#source/copy/steadyCopySource.ts";
import { CarriedStructure } from "#structure/operations/carriedStructure.ts";
import { checkRights } from "./captureChecks.ts";
import {
  betweenSides,
  type CaptureDeps,
  leaving,
  openCapture,
  type Sides,
  sessionOf,
  standingLagOf,
} from "./captureOpening.ts";
import { type CaptureStartDeps, replaceCapture, startCapture } from "./captureStart.ts";
import { replaceTopics } from "./replaceTopics.ts";
import { RunLifecycle, type Session } from "./runLifecycle.ts";

export type KafkaCaptureDeps = CaptureDeps &
  Readonly<{
    settings: Readonly<{ kafka: string; kafkaConfig?: string | undefined }>;
    /** Partitions of topics that do not exist yet. */
    partitions: number;
    budgetMb: number;
    leaseMs: number;
    /** Error codes, comma-separated, that are no reason to refuse the start. */
    accept: string;
  }>;

/** Concurrent requests to Kafka. */
const PRODUCERS = 4;

/** The workers say what else they ask of the targets. */
const askedOf = ({ recopy, replaceTarget, accept }: KafkaCaptureDeps): AskedOfTargets => ({
  recopy,
  replaceTarget,
  accept,
});

/**
 * `ferry capture`: the source into Kafka topics, in place of the connector. What it must remember is on the target, as all of
 * ferry's state. @throws one clear sentence before anything is written; later what made it stop
 */
export const runKafkaCapture = (deps: KafkaCaptureDeps): Promise<void> =>
  betweenSides(deps, askedOf(deps), async (sides) => {
    const { kafka: at, group } = deps.settings;
    await using client = new KafkaClient({ ...kafkaAddress(deps.settings), clientId: deps.runId, group });
    const kafka: AwaitedServer = { name: `Kafka at ${at}`, ask: () => client.topics() };
    await whenFirstAnswers(kafka, { ...deps, signal: deps.soft }); // before anything is noted
    await captureBetween(deps, sides, client, [...serversOf(sides), kafka]);
  });

const captureBetween = async (
  deps: KafkaCaptureDeps,
  sides: Sides,
  client: KafkaClient,
  servers: readonly AwaitedServer[],
): Promise<void> => {
  const { logger, soft } = deps;
  const opening = (): Promise<BegunCapture> => beginBetween(deps, sides, client);
  const { setup, begun } = await throughOutages("beginning", servers, { ...deps, signal: soft }, opening);
  const { store } = setup.start;
  const lifecycle = new RunLifecycle({
    ...deps,
    store,
    servers,
    writesTo: "Kafka",
    standingLag: standingLagOf(setup.start),
    // The workers may still have much to apply: `ferry finalize` looks at the target when they have.
    lastLook: (record) => writesOf(record, { source: sides.source, state: sides.state, signal: soft }),
  });
  await leaving(deps, store, async () => {
    const drained = await lifecycle.run(begun, (session) =>
      captureInto({ ...deps, soft: session.ending }, setup, session),
    );
    if (drained)
      logger.info(
        { stage: "finalize" },
        "drained: everything is in Kafka, and `ferry finalize` continues with the workers",
      );
  });
};

type BegunCapture = Readonly<{
  setup: CaptureSetup;
  /** A former process has begun the copy. */
  begun: boolean;
}>;

/** Looks at both sides, notes the start or finds what was noted, and owns the capture. What is cut off in the middle may be done again. */
const beginBetween = async (deps: KafkaCaptureDeps, sides: Sides, client: KafkaClient): Promise<BegunCapture> => {
  const { leaseMs } = deps;
  const { source, target } = sides;
  const { start, replaces, known, former, carried } = await openCapture(deps, sides, { mode: "kafka", leaseMs });
  await checkRights({ source, target, carried, routes: [], stateDb: sides.state.name });
  const structure = new CarriedStructure(deps, sides);
  if (known === undefined && (deps.structure || replaces)) await structure.check(replaces);
  if (replaces) {
    const names = former.map(({ route }) => route);
    await structure.idle(names);
    const topics = [...new Set([...carried.map(formatNamespace), ...former.map(({ topic }) => topic)])];
    // The topics first: their records must not be applied to a target that was just emptied.
    await replaceCapture(start, deps.spool.dir, async () => {
      await replaceTopics({ ...deps, client }, topics);
      await structure.replace(names);
    });
  }

  await startCapture(start, carried, deps.recopy);
  return { setup: { sides, start, client, structure, carried }, begun: known !== undefined && !deps.recopy };
};

/** On either side: what the stream still has of a former incarnation may be under the other rule than the source has now. */
const isCollated = async ({ routes }: KafkaCaptureDeps, { source, target }: Sides, topic: string): Promise<boolean> => {
  if ((await collationOf(source, parseNamespace(topic))) !== undefined) return true;
  for (const route of routesOn(routes, topic).filter(isMongo))
    if ((await collationOf(target, targetNamespace(route))) !== undefined) return true;
  return false;
};

/** What is set up once, and used by each session of a capture. */
type CaptureSetup = Readonly<{
  sides: Sides;
  start: CaptureStartDeps;
  client: KafkaClient;
  structure: CarriedStructure;
  carried: readonly Namespace[];
}>;

/** One session: structure, copy and stream from where the record stands, until `soft` aborts. */
const captureInto = async (
  deps: KafkaCaptureDeps,
  setup: CaptureSetup,
  { record, goesOn, wish }: Session,
): Promise<void> => {
  const { settings, logger, clock, soft, hard, runId } = deps;
  const { sides, start, client, structure, carried } = setup;
  // After the start position: what changes from here on is in the stream, and followed.
  if (deps.structure && record.phase === "copy") await structure.build(goesOn);
  const onRetry = tryingAgain(deps, "kafka");
  const address = kafkaAddress(settings);
  await using output = new KafkaOutput({
    client,
    producers: Array.from(
      { length: Math.min(PRODUCERS, deps.partitions) },
      (_, i) => new KafkaProducer({ ...address, clientId: `${runId}-${i}`, clock, onRetry }),
    ),
    partitions: deps.partitions,
    limitBytes: deps.budgetMb * 1024 * 1024,
    isCollated: (topic) => isCollated(deps, sides, topic),
    clock,
  });
  logger.info({ stage: "capture" }, `writing to Kafka at ${settings.kafka}`);
  await using copySource = openCopySource(sides.source, record.phase === "copy" ? carried[0] : undefined, deps);
  await sessionOf(deps, sides, start, { record, copySource, output, conflict: "mirror", wish }).run(soft, hard);
};
