import { formatNamespace, type Namespace } from "#base/flow/types.ts";
import { isTopicName, topicFor } from "#io/kafka/topicName.ts";
import type { MongoClient } from "#io/mongo/connect.ts";
import { listNamespaces } from "#source/stream/sourceProbe.ts";
import { type CaptureConfig, topicOf, watchedNamespaces } from "./connectorConfig.ts";

/** Of the collections that a connector watches, those whose topics Kafka would refuse. */
export const refusedNames = (capture: CaptureConfig, existing: readonly Namespace[]): readonly Namespace[] =>
  watchedNamespaces(capture, existing).filter((ns) => !isTopicName(topicOf(capture.config, ns)));

/** What an operator does about one: workers know the topic that ferry's own capture would use. */
const wayOn = (ns: Namespace): string => {
  const name = formatNamespace(ns);
  const without = JSON.stringify([{ $match: { "ns.coll": { $ne: ns.coll } } }]);
  return `${name}: carry it with "topic.namespace.map": ${JSON.stringify(JSON.stringify({ [name]: topicFor(name) }))}, or leave it out with ${without} at the beginning of "pipeline"`;
};

/** One sentence for each collection that Kafka takes no topic for, with the lines that carry it or leave it out. @throws FERRY_MONGO_* */
export const namesRefused = async (capture: CaptureConfig, source: MongoClient): Promise<readonly string[]> =>
  refusedNames(capture, await listNamespaces(source, capture.watch)).map(wayOn);
