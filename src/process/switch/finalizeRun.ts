import type { Route } from "#base/config/routes.ts";
import type { FerryError } from "#base/errors/ferryError.ts";
import type { Clock } from "#base/flow/clock.ts";
import type { Logger } from "#base/observe/log.ts";
import { endRun } from "#cutover/ending/endRun.ts";
import { type LookDeps, lettersAndHalts, writesBehind } from "#cutover/ending/lastLook.ts";
import { kafkaAddress } from "#io/kafka/address.ts";
import { KafkaClient } from "#io/kafka/client.ts";
import type { MongoClient } from "#io/mongo/connect.ts";
import { serversOf, throughOutages } from "#io/mongo/outages.ts";
import { reachMongo } from "#io/mongo/reach.ts";
import type { StateDb } from "#io/state/stateDb.ts";
import { AuditLog, type Author } from "#process/steer/auditLog.ts";
import { RunControl, type RunState, type SeenRun, stateOf } from "#source/capture/captureLifecycle.ts";
import type { StoredCapture } from "#source/capture/captureStore.ts";
import { readDeployment, requireSameSource } from "#source/stream/deployment.ts";
import { tokenTime } from "#source/stream/resumeToken.ts";
import { clusterTime } from "#source/stream/sourceProbe.ts";
import { StructureStore } from "#structure/plan/structureStore.ts";
import type { SwitchAddresses } from "./switchWiring.ts";

export type FinalizeRunDeps = Readonly<{
  target: MongoClient;
  state: StateDb;
  addresses: Pick<SwitchAddresses, "source" | "kafka">;
  /** Of the configuration. */
  routes: readonly Route[] | undefined;
  /** Error codes that are accepted; FERRY_SOURCE_WRITES: services may still write to the source. */
  accepted: readonly string[];
  by: Author;
  clock: Clock;
  logger: Logger;
  signal: AbortSignal;
  /** How far it is. */
  say: (seen: SeenRun, state: RunState) => void;
  /** What is under way with Kafka, as a sentence. */
  tell: (sentence: string) => void;
}>;

/** A run at its end, and what services wrote to the source after it. */
export type Finalized = Readonly<{ record: StoredCapture; writes: FerryError | undefined }>;

/** What is known before anything is asked of the run: it would be met at its end again. @throws FERRY_RUN_*, FERRY_CAPTURE_OTHER */
const requireEndable = async (
  { record }: SeenRun,
  source: MongoClient,
  { state, accepted }: LookDeps,
): Promise<void> => {
  requireSameSource(record.source, await readDeployment(source));
  if (stateOf(record) === "finalized") return; // asked again, for what came of it
  const known = await lettersAndHalts({ state, routes: undefined, accepted });
  if (known !== undefined) throw known;
};

/**
 * Drains a run, ends it, and restores what was deferred. Asked for again, it continues.
 * @throws FERRY_RUN_*, FERRY_CAPTURE_OTHER, FERRY_CONFIG, FERRY_MONGO_*, FERRY_KAFKA_*, the signal's reason
 */
export const finalizeRun = async (deps: FinalizeRunDeps): Promise<Finalized> => {
  const { target, state, addresses, routes, accepted, by, clock, logger, signal, say, tell } = deps;
  const control = new RunControl(state);
  const asked = await control.seen();
  const settings = asked.record.mode === "kafka" ? addresses.kafka() : undefined; // before anything is asked of the capture
  const waiting = { clock, logger, signal };
  await using clients = new AsyncDisposableStack();
  const source = await reachMongo(addresses.source, { side: "source", appName: "ferry finalize", ...waiting });
  clients.defer(() => source.close());
  const kafka = settings && clients.use(kafkaOf(settings));
  await requireEndable(asked, source, { state, routes: undefined, accepted: new Set(accepted) });
  const at = await clusterTime(source);
  const before = stateOf(asked.record);
  await new AuditLog(state).note(by, { action: "finalize", on: "run", before, after: { accepted: [...accepted] } });
  const journal = new StructureStore(state);
  const ending = { ...waiting, control, source, target, state, journal, routes, kafka, accepted, say, tell };
  const writes = await throughOutages("finalizing", serversOf({ source, target }), waiting, async () => {
    const record = await endRun(ending, at);
    // Once more after the end: restoring may have taken long, and nothing is captured any more.
    if (accepted.includes("FERRY_SOURCE_WRITES") || before === "finalized") return undefined;
    return writesBehind(source, record, { state, at: tokenTime(record.token), signal });
  });
  return { record: (await control.seen()).record, writes };
};

const kafkaOf = (settings: ReturnType<SwitchAddresses["kafka"]>): KafkaClient =>
  new KafkaClient({ ...kafkaAddress(settings), clientId: "ferry-finalize", group: settings.group });
