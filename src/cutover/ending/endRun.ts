import type { Timestamp } from "bson";
import type { Route } from "#base/config/routes.ts";
import { FerryError } from "#base/errors/ferryError.ts";
import type { KafkaClient } from "#io/kafka/client.ts";
import { requireKafka } from "#io/kafka/requireKafka.ts";
import type { MongoClient } from "#io/mongo/connect.ts";
import type { StateDb } from "#io/state/stateDb.ts";
import { type RunState, type SeenRun, stateOf, type Unrestored } from "#source/capture/captureLifecycle.ts";
import type { StoredCapture } from "#source/capture/captureStore.ts";
import { finalize } from "#structure/operations/structureOperations.ts";
import type { StructureStore } from "#structure/plan/structureStore.ts";
import { missingOnTarget } from "./lastLook.ts";
import { type WatchRunDeps, watchRun } from "./runWatch.ts";
import { workersDrained } from "./workersDrained.ts";

export type EndDeps = WatchRunDeps &
  Readonly<{
    source: MongoClient;
    target: MongoClient;
    state: StateDb;
    journal: StructureStore;
    /** Of the configuration; undefined carries every topic to the namespace of its name. */
    routes: readonly Route[] | undefined;
    /** Where workers apply what a capture writes to Kafka. */
    kafka: KafkaClient | undefined;
    /** Error codes that are accepted. */
    accepted: readonly string[];
    /** What is under way with Kafka, as a sentence. */
    tell: (sentence: string) => void;
  }>;

/** @throws the error of a run that cannot continue without an operator */
const requireGoing = ({ record: { lifecycle, ended }, owned }: SeenRun): void => {
  const { wanted, refused } = lifecycle ?? {};
  if (wanted == null && refused !== undefined) throw new FerryError(refused.code, refused.detail);
  if (!owned && ended != null) throw new FerryError(ended.code, `not running: ${ended.detail}`);
};

/** With Kafka: what is left when the capture has ended. The workers see to the documents, this process to the structure. */
const finishBehindWorkers = async (deps: EndDeps, record: StoredCapture): Promise<Unrestored[]> => {
  const { source, target, state, journal, routes, accepted, clock, signal, tell } = deps;
  const kafka = requireKafka(deps.kafka);
  let said: number | undefined = 0;
  const report = (behind: number | undefined): void => {
    if (behind !== said)
      tell(behind === undefined ? "no worker runs for a topic: start one" : `workers have ${behind} records to apply`);
    said = behind;
  };
  await workersDrained({ kafka, state, routes, topics: record.topics, clock, signal, report });
  const missing = await missingOnTarget({ state, routes, accepted: new Set(accepted) }, record);
  if (missing !== undefined) throw missing;
  tell("drained; restoring deferred constraints");
  const failures = await finalize({ source, target, state, journal, routes, clock, signal, report: () => undefined });
  return failures.map(({ ns, index, reason }) => ({ ns, index, reason }));
};

/**
 * Ends a run after a time of the source: what it had by then is applied, and what was deferred on the target is restored. Asked
 * for again, it continues. @returns the run's record at its end
 * @throws FERRY_RUN_*, FERRY_SOURCE_WRITES where the run refuses, FERRY_MONGO_*, FERRY_KAFKA_*, the signal's reason
 */
export const endRun = async (deps: EndDeps, drainTo: Timestamp): Promise<StoredCapture> => {
  const { control, accepted } = deps;
  await control.finalize(drainTo, accepted);
  const seen = await watchRun(deps, (seen, state) => {
    requireGoing(seen);
    const last: RunState = seen.record.mode === "kafka" ? "finalizing" : "finalized";
    return [last, "finalized"].includes(state);
  });
  if (stateOf(seen.record) !== "finalizing") return seen.record;
  await control.end(await finishBehindWorkers(deps, seen.record));
  return { ...seen.record, ...(await control.read())?.record };
};
