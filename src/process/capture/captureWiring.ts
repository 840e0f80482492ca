import { tryingAgain } from "#base/observe/tryingAgain.ts";
import { kafkaAddress } from "#io/kafka/address.ts";
import { KafkaClient } from "#io/kafka/client.ts";
import { KafkaProducer, type ProducerIdentity } from "#io/kafka/producer.ts";
import { KafkaOutput } from "#io/log/kafkaOutput.ts";
import { ProducerEpochs } from "#io/log/producerEpochs.ts";
import type { AskedOfTargets } from "#sink/open/demands.ts";
import { CaptureStore } from "#source/capture/captureStore.ts";
import type { OwnCapture } from "#source/capture/ownCapture.ts";
import { openCopySource } from "#source/copy/steadyCopySource.ts";
import { CarriedStructure } from "#structure/operations/carriedStructure.ts";
import { StructureStore } from "#structure/plan/structureStore.ts";
import { type CaptureDeps, sessionOf } from "./captureOpening.ts";
import type { BegunCapture } from "./captureStart.ts";
import { isCollated } from "./collated.ts";
import { openSides, type Sides } from "./openSides.ts";
import type { Session } from "./runLifecycle.ts";

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

/** The workers say what else they ask of the targets. */
const askedOf = ({ recopy, replaceTarget, accept }: KafkaCaptureDeps): AskedOfTargets => ({
  recopy,
  replaceTarget,
  accept,
});

/** Concurrent requests to Kafka. */
const PRODUCERS = 4;

/** What one `ferry capture` works with, in each of its sessions. Disposing of it closes every connection. */
export type CaptureParts = AsyncDisposable &
  Readonly<{
    sides: Sides;
    client: KafkaClient;
    store: CaptureStore;
    structure: CarriedStructure;
  }>;

/** Makes and connects everything that `ferry capture` works with; no other file does. @throws as `openSides` */
export const wireCapture = async (deps: KafkaCaptureDeps): Promise<CaptureParts> => {
  const { settings, spec, routes, runId, leaseMs, clock, logger, hard } = deps;
  await using stack = new AsyncDisposableStack();
  const sides = stack.use(await openSides(deps, askedOf(deps)));
  const { source, target, state } = sides;
  const client = stack.use(new KafkaClient({ ...kafkaAddress(settings), clientId: runId, group: settings.group }));
  const store = new CaptureStore(state, runId, leaseMs);
  const journal = new StructureStore(state);
  const carrying = { spec, routes, clock, logger, hard, leaseMs };
  const structure = new CarriedStructure(carrying, { source, target, state, journal });
  const kept = stack.move();
  return { sides, client, store, structure, [Symbol.asyncDispose]: () => kept.disposeAsync() };
};

/** What one session works with. Disposing of it ends the reading of the copy, then what writes to Kafka. */
export type CaptureSession = AsyncDisposable & Readonly<{ capture: OwnCapture }>;

export const wireCaptureSession = async (
  deps: KafkaCaptureDeps,
  { sides, client, store }: CaptureParts,
  { start, carried }: BegunCapture,
  { record, wish }: Session,
): Promise<CaptureSession> => {
  const { settings, routes, partitions, budgetMb, clock, runId } = deps;
  const onRetry = tryingAgain(deps, "kafka");
  const address = kafkaAddress(settings);
  const epochs = new ProducerEpochs(sides.state);
  const identify = async (allot: () => Promise<bigint>): Promise<ProducerIdentity> => {
    const identity = await epochs.next(allot);
    await store.renew(); // a process whose capture was taken over has no right to the highest epoch
    return identity;
  };
  await using stack = new AsyncDisposableStack();
  const output = stack.use(
    new KafkaOutput({
      client,
      producers: Array.from(
        { length: Math.min(PRODUCERS, partitions) },
        (_, i) => new KafkaProducer({ ...address, clientId: `${runId}-${i}`, identify, clock, onRetry }),
      ),
      partitions,
      limitBytes: budgetMb * 1024 * 1024,
      isCollated: (topic) => isCollated(sides, routes, topic),
      clock,
    }),
  );
  const copySource = stack.use(openCopySource(sides.source, record.phase === "copy" ? carried[0] : undefined, deps));
  wish.onLimits?.((limits) => copySource.limit(limits));
  const capture = sessionOf(deps, sides, start, { record, copySource, output, conflict: "mirror", wish });
  const kept = stack.move();
  return { capture, [Symbol.asyncDispose]: () => kept.disposeAsync() };
};
