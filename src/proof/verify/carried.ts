import { destinationText } from "#base/config/destination.ts";
import type { Route } from "#base/config/routes.ts";
import { FerryError } from "#base/errors/ferryError.ts";
import type { Clock } from "#base/flow/clock.ts";
import type { NamespaceFilter } from "#base/flow/namespaceFilter.ts";
import { parseNamespace } from "#base/flow/types.ts";
import type { KafkaClient } from "#io/kafka/client.ts";
import { requireKafka } from "#io/kafka/requireKafka.ts";
import type { MongoClient } from "#io/mongo/connect.ts";
import { knownRoutes } from "#io/state/forgetRoutes.ts";
import type { StateDb } from "#io/state/stateDb.ts";
import { routesOn } from "#route/table/routesOn.ts";
import { kindOfSink } from "#sink/open/openSink.ts";
import { type CaptureRecord, readCapture } from "#source/capture/captureStore.ts";
import { readConnectors } from "#source/connector/connectorStore.ts";
import { tokenTime } from "#source/stream/resumeToken.ts";
import { AppliedThroughKafka } from "./appliedThroughKafka.ts";
import { clusterTimeOf } from "./reads.ts";

export type CarriedDeps = Readonly<{
  source: MongoClient;
  target: MongoClient;
  state: StateDb;
  /** Of the configuration; undefined carries every topic to the namespace of its name. */
  routes: readonly Route[] | undefined;
  /** Namespaces of the source that are meant. */
  filter: NamespaceFilter;
  /** Of the topology with Kafka. */
  kafka: KafkaClient | undefined;
  clock: Clock;
}>;

/** What a run carries, and how far it has come. */
export type Carried = Readonly<{
  /** Routes to collections, which are compared side by side, and followed. */
  routes: readonly Route[];
  /** Routes whose targets keep documents in a form of their own: a pass compares these. */
  kept: readonly Route[];
  applied: (topic: string) => Promise<bigint | undefined>;
}>;

/** The official connector passes a change on within this time, ms, while it runs; `ferry check` tells where it does not. */
const CONNECTOR_MS = 10_000;

/** One answer does for all routes that ask within this time, ms. */
const FRESH_MS = 50;

const remembered = <T>(clock: Clock, ask: () => Promise<T>): (() => Promise<T>) => {
  let [answer, askedAt] = [undefined as Promise<T> | undefined, 0];
  return () => {
    if (answer !== undefined && clock.now() - askedAt < FRESH_MS) return answer;
    [answer, askedAt] = [ask(), clock.now()];
    return answer;
  };
};

const copying = (detail: string): FerryError => new FerryError("FERRY_VERIFY_EARLY", detail);

/** How far own capture into Kafka, or a connector, has come by the lanes behind it. */
const throughKafka = (
  deps: CarriedDeps,
  position: () => Promise<bigint>,
  settleMs: number,
): ((topic: string) => Promise<bigint>) => {
  const kafka = requireKafka(deps.kafka);
  const topics = new Map<string, AppliedThroughKafka>();
  return (topic) => {
    const known = topics.get(topic) ?? new AppliedThroughKafka(topic, { ...deps, kafka, position, settleMs });
    topics.set(topic, known);
    return known.upTo();
  };
};

type CarriedTopics = Readonly<{ topics: readonly string[]; applied: Carried["applied"] }>;

const byCapture = (deps: CarriedDeps, record: CaptureRecord): CarriedTopics => {
  if (record.phase !== "stream") throw copying("documents are being copied");
  const topics = record.topics.map(({ name }) => name);
  const position = remembered(deps.clock, async () => {
    const now = await readCapture(deps.state);
    return now === undefined ? undefined : tokenTime(now.token);
  });
  if (record.mode === "direct") return { topics, applied: position };
  return { topics, applied: throughKafka(deps, async () => (await position()) ?? 0n, 0) };
};

const byConnectors = async (deps: CarriedDeps): Promise<CarriedTopics> => {
  const { state, source, filter } = deps;
  const connectors = await readConnectors(state);
  const unfinished = connectors.find(
    ({ state, topics }) => state !== "streaming" && topics.some((name) => filter.has(parseNamespace(name))),
  );
  if (unfinished !== undefined) throw copying(`connector ${unfinished._id} copies`);
  const begun = await knownRoutes(state, () => true);
  if (begun.length === 0) throw new FerryError("FERRY_RUN_NONE", "nothing was carried yet");
  return {
    topics: [...new Set(begun.map(({ topic }) => topic))],
    applied: throughKafka(deps, () => clusterTimeOf(source), CONNECTOR_MS),
  };
};

/** @throws FERRY_RUN_NONE, FERRY_VERIFY_EARLY while it copies, FERRY_USAGE where nothing of it is meant, FERRY_MONGO_* */
export const readCarried = async (deps: CarriedDeps): Promise<Carried> => {
  const record = await readCapture(deps.state);
  const { topics, applied } = record === undefined ? await byConnectors(deps) : byCapture(deps, record);
  const carried = topics
    .filter((name) => deps.filter.has(parseNamespace(name)))
    .sort()
    .flatMap((name) => routesOn(deps.routes, name));
  const [routes, kept] = [true, false].map((verbatim) =>
    carried.filter(({ to }) => kindOfSink(to).can.verbatim === verbatim),
  ) as [Route[], Route[]];
  if (carried.length === 0) throw new FerryError("FERRY_USAGE", "nothing that is carried fits --include and --exclude");
  return { routes, kept, applied };
};

/** What works on collections leaves out, as a sentence; undefined where every route goes to one. */
export const leftOutText = ({ kept }: Pick<Carried, "kept">): string | undefined => {
  if (kept.length === 0) return undefined;
  const places = kept.map(({ to }) => destinationText(to)).join(", ");
  return `${places}: this works on collections; \`ferry verify --once\` compares other targets`;
};

/** Some of its routes go to collections. @throws FERRY_USAGE where none does */
export const requireCollections = <C extends Carried>(carried: C): C => {
  if (carried.routes.length === 0) throw new FerryError("FERRY_USAGE", leftOutText(carried) ?? "nothing is carried");
  return carried;
};

/** @throws what `readCarried` throws, FERRY_USAGE where no route goes to a collection */
export const readCarriedCollections = async (deps: CarriedDeps): Promise<Carried> =>
  requireCollections(await readCarried(deps));
