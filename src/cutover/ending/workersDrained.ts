import { livingWorkers } from "#apply/lanes/livingWorkers.ts";
import { readLanes } from "#apply/lanes/readLanes.ts";
import { type Ends, recordsBehind } from "#apply/lanes/recordsBehind.ts";
import type { Route } from "#base/config/routes.ts";
import { FerryError } from "#base/errors/ferryError.ts";
import type { Clock } from "#base/flow/clock.ts";
import { lookUntil } from "#base/flow/lookUntil.ts";
import type { KafkaClient } from "#io/kafka/client.ts";
import { topicAmong } from "#io/kafka/topicName.ts";
import type { StateDb } from "#io/state/stateDb.ts";
import { routesOn } from "#route/table/routesOn.ts";
import type { CaptureRecord } from "#source/capture/captureStore.ts";
import { haltOf } from "./lastLook.ts";

export type DrainDeps = Readonly<{
  kafka: KafkaClient;
  state: StateDb;
  /** Of the configuration; undefined carries every topic to the namespace of its name. */
  routes: readonly Route[] | undefined;
  /** By their namespaces. */
  topics: CaptureRecord["topics"];
  /** How often the lanes are looked at, ms; more often while services wait. */
  lookMs?: number;
  clock: Clock;
  signal: AbortSignal;
  /** Records that workers have not applied yet; undefined where no lane stands for some of them. */
  report: (behind: number | undefined) => void;
}>;

const LOOK_MS = 500;

/** How long the command waits for a worker to be started, ms. */
const IDLE_MS = 15_000;

const look = async ({ state, routes }: DrainDeps, ends: Ends): Promise<number | undefined> =>
  recordsBehind(ends, routes, await readLanes(state));

/** Where the topics end now. @throws FERRY_KAFKA_TOPIC_MISSING, FERRY_KAFKA_* */
const endsNow = async ({ kafka, topics }: DrainDeps): Promise<Ends> => {
  const existing = new Set(await kafka.topics());
  const ends = new Map<string, readonly number[]>();
  for (const { name, next } of topics) {
    const topic = topicAmong(name, existing);
    if (existing.has(topic)) ends.set(name, await kafka.offsets(topic, "latest"));
    else if (Number(next) > 0) throw new FerryError("FERRY_KAFKA_TOPIC_MISSING", `${topic} was deleted from Kafka`);
  }
  return ends;
};

/**
 * Waits until the lanes of all routes have passed what is in the topics now. No process captures into them any more.
 * @throws FERRY_RUN_HALTED, FERRY_RUN_BEHIND if no process applies it, FERRY_KAFKA_*, FERRY_MONGO_*, the signal's reason
 */
export const workersDrained = async (deps: DrainDeps): Promise<void> => {
  const { state, routes, topics, clock, signal, report, lookMs = LOOK_MS } = deps;
  const only = new Set(topics.flatMap(({ name }) => routesOn(routes, name)).map(({ name }) => name));
  const ends = await endsNow(deps);
  let idleSince: number | undefined;
  await lookUntil(lookMs, { clock, signal }, async () => {
    signal.throwIfAborted();
    const behind = await look(deps, ends);
    if (behind === 0) return true;
    const halted = await haltOf({ state, only });
    if (halted !== undefined) throw halted;
    report(behind);
    const isIdle = behind === undefined || (await livingWorkers(state)) === 0;
    idleSince = isIdle ? (idleSince ?? clock.now()) : undefined;
    if (idleSince === undefined || clock.now() - idleSince <= IDLE_MS) return false;
    throw new FerryError(
      "FERRY_RUN_BEHIND",
      behind === undefined
        ? `no worker has read all of ${[...ends.keys()].join(", ")}`
        : `${behind} records wait in Kafka, and no worker runs`,
    );
  });
};
