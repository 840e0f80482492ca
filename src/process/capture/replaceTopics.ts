import type { Clock } from "#base/flow/clock.ts";
import { retry, waitFor } from "#base/flow/retry.ts";
import type { Logger } from "#base/observe/log.ts";
import { tryingAgain } from "#base/observe/tryingAgain.ts";
import type { Vitals } from "#base/observe/vitals.ts";
import type { KafkaClient } from "#io/kafka/client.ts";
import { topicAmong } from "#io/kafka/topicName.ts";

export type ReplaceTopicsDeps = Readonly<{
  client: KafkaClient;
  clock: Clock;
  logger: Logger;
  vitals: Vitals;
  hard: AbortSignal;
}>;

/** A broker that is away, or still at work on the deletion, is waited for this long, ms. */
const PATIENCE_MS = 30_000;

/**
 * Puts empty topics in the places of those of namespaces that exist, with their partitions, replicas and settings. Others under the same
 * names, and not the same ones without their records: their beginning would look like a topic that has lost records.
 * @throws FERRY_KAFKA_*, FERRY_TIMEOUT
 */
export const replaceTopics = async (deps: ReplaceTopicsDeps, namespaces: readonly string[]): Promise<void> => {
  const { client, clock, logger, hard } = deps;
  const patiently = <T>(what: string, work: () => Promise<T>): Promise<T> =>
    retry(work, { what, clock, signal: hard, giveUpAfterMs: PATIENCE_MS, onRetry: tryingAgain(deps, "kafka") });
  const existing = new Set(await client.topics());
  for (const ns of namespaces) {
    const topic = topicAmong(ns, existing);
    if (!existing.has(topic)) continue;
    const { partitions, replicas, configs } = await patiently(`settings of ${topic}`, () => client.shape(topic));
    await patiently(`deleting ${topic}`, () => client.deleteTopic(topic));
    await waitFor(
      async () => ((await client.topics()).includes(topic) ? { seen: "still there" } : { done: undefined }),
      { what: `topic ${topic} to be gone`, clock, timeoutMs: PATIENCE_MS, signal: hard },
    );
    await patiently(`creating ${topic}`, () => client.createTopic(topic, partitions, configs, replicas));
    logger.info({ stage: "capture", topic }, "created again, without records");
  }
};
