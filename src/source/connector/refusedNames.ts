import { formatNamespace, type Namespace } from "#base/flow/types.ts";
import type { KafkaClient } from "#io/kafka/client.ts";
import { collidesWith, isTopicName, topicAmong, unified } from "#io/kafka/topicName.ts";
import type { MongoClient } from "#io/mongo/connect.ts";
import { listNamespaces } from "#source/stream/sourceProbe.ts";
import { type CaptureConfig, topicOf, watchedNamespaces } from "./connectorConfig.ts";

/** Of the collections that a connector watches, those whose topics Kafka would refuse beside the ones that are there. */
export const refusedNames = (
  capture: CaptureConfig,
  existing: readonly Namespace[],
  topics: readonly string[] = [],
): readonly Namespace[] => {
  const there = new Map(topics.map((topic) => [unified(topic), topic]));
  return watchedNamespaces(capture, existing).filter((ns) => {
    const topic = topicOf(capture.config, ns);
    const same = there.get(unified(topic));
    if (same === topic) return false;
    if (!isTopicName(topic) || same !== undefined) return true;
    there.set(unified(topic), topic);
    return false;
  });
};

/** What an operator does about one: workers know the topic that ferry's own capture would use. */
const wayOn = (ns: Namespace, topic: string): string => {
  const name = formatNamespace(ns);
  const without = JSON.stringify([{ $match: { "ns.coll": { $ne: ns.coll } } }]);
  return `${name}: carry it with "topic.namespace.map": ${JSON.stringify(JSON.stringify({ [name]: topic }))}, or leave it out with ${without} at the beginning of "pipeline"`;
};

/** One sentence for each collection that Kafka takes no topic for, with the lines that carry it or leave it out. @throws FERRY_MONGO_* */
export const namesRefused = async (
  capture: CaptureConfig,
  source: MongoClient,
  kafka: KafkaClient | undefined,
): Promise<readonly string[]> => {
  const existing = await listNamespaces(source, capture.watch);
  const topics = (await kafka?.topics()) ?? [];
  const refused = new Set(refusedNames(capture, existing, topics));
  const rest = watchedNamespaces(capture, existing).filter((ns) => !refused.has(ns));
  const taken = new Set([...topics, ...rest.map((ns) => topicOf(capture.config, ns))]);
  const isTaken = collidesWith(taken);
  return [...refused].map((ns) => wayOn(ns, topicAmong(formatNamespace(ns), taken, isTaken)));
};
