import { isFerry } from "#base/errors/ferryError.ts";
import type { KafkaClient, KafkaOptions } from "#io/kafka/client.ts";
import { readKafkaSettings } from "#io/kafka/kafkaSettings.ts";
import { createDecoder } from "#io/wire/decode.ts";
import { isDataTopic } from "#io/wire/topics.ts";
import type { ConnectRest } from "#source/connect/connectRest.ts";
import {
  type CaptureConfig,
  isSourceConnector,
  parseConnector,
  SOURCE_CONNECTOR,
  topicsInScope,
} from "#source/connector/connectorConfig.ts";
import { type ConnectorHealthDeps, checkCapture } from "#source/connector/connectorHealth.ts";
import { requireSuitable } from "#source/connector/startChecks.ts";
import { type CheckResult, checking, type Say } from "./checkResult.ts";

/** A document of 16 MB, its key, its event's other fields and the record's frame. */
const LARGEST_RECORD = 17 * 2 ** 20;
const mb = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(0)} MB`;

const checkLimits = async (say: Say, options: KafkaOptions, topics: readonly string[]): Promise<void> => {
  const settings = await readKafkaSettings(options, topics);
  say("ok", `brokers ${settings.brokers.join(", ")}`);
  const limit = Number(settings.broker["message.max.bytes"] ?? Number.NaN);
  if (limit < LARGEST_RECORD)
    say(
      "warn",
      `new topics take records up to ${mb(limit)}: a larger document stops the connector`,
      "Set topic.creation.default.max.message.bytes=33554432 on the connector, or message.max.bytes on the broker.",
    );
  for (const [topic, values] of settings.topics) {
    const topicLimit = Number(values["max.message.bytes"] ?? Number.NaN);
    if (topicLimit < LARGEST_RECORD)
      say(
        "warn",
        `${topic} takes records up to ${mb(topicLimit)}: a larger document stops the connector`,
        `Set max.message.bytes=33554432 on the topic.`,
      );
    if (values["retention.ms"] !== undefined && values["retention.ms"] !== "-1")
      say(
        "warn",
        `${topic} deletes its records after ${Math.round(Number(values["retention.ms"]) / 3_600_000)} h: a worker that is down for longer stops with FERRY_LOG_TRUNCATED`,
        "Set retention.ms=-1 on the topic for the time of the migration.",
      );
    if ((values["cleanup.policy"] ?? "").includes("compact"))
      say("warn", `${topic} is compacted: updates that are deltas can be lost`, "Set cleanup.policy=delete.");
  }
};

/** How many records of each partition's end are looked at. */
const SAMPLE = 200;

/** What the last records of a topic are: how they are keyed, or `poison`; events that say nothing of a document left out. */
const sampleKeys = async (kafka: KafkaClient, topic: string, latest: readonly number[]): Promise<string[]> => {
  const earliest = await kafka.offsets(topic, "earliest");
  const kinds: string[] = [];
  for (const [partition, end] of latest.entries()) {
    const offset = Math.max(earliest[partition] ?? 0, end - SAMPLE);
    if (offset >= end) continue;
    const decode = createDecoder({ nested: false });
    const { records } = await kafka.fetch({ topic, partition, offset, maxBytes: 2 ** 20, maxWaitMs: 10 });
    for (const decoded of records.map(decode)) {
      if (decoded.event === undefined) kinds.push("poison");
      else if (decoded.event.op !== "noop" && decoded.event.op !== "ddl") kinds.push(decoded.keyed);
    }
  }
  return kinds;
};

const checkKeys = async (say: Say, kafka: KafkaClient, topic: string): Promise<void> => {
  const latest = await kafka.offsets(topic, "latest");
  const kinds = await sampleKeys(kafka, topic, latest);
  if (kinds.length === 0) return;
  const poison = kinds.filter((kind) => kind === "poison").length;
  if (poison > 0)
    say(
      "warn",
      `${topic}: ${poison} of ${kinds.length} sampled records are not change events`,
      "They go to the dead letters; check what else writes to this topic.",
    );
  const wrong = kinds.some((kind) => kind === "resumeToken" || kind === "none");
  const partitions = `${latest.length} partition${latest.length === 1 ? "" : "s"}`;
  if (wrong && latest.length > 1)
    say(
      "fail",
      `${topic} has ${partitions}, and its records are not keyed by documentKey: the order of a document's changes is lost`,
      "Set change.stream.document.key.as.key=true on the connector and start with a new topic.",
    );
  else if (wrong)
    say(
      "warn",
      `${topic} is not keyed by documentKey: it must stay at one partition`,
      "Set change.stream.document.key.as.key=true on the connector.",
    );
  else say("ok", `${topic}: ${partitions}, keyed by documentKey (${kinds.length} records sampled)`);
};

/** Kafka: reachable, limits that fit documents, topics that keep and order their records. */
export const checkKafka = (kafka: KafkaClient, options: KafkaOptions): Promise<CheckResult[]> =>
  checking("kafka", async (say) => {
    const topics = (await kafka.topics()).filter(isDataTopic);
    await checkLimits(say, options, topics);
    for (const topic of topics) await checkKeys(say, kafka, topic);
  });

const checkPlugin = async (say: Say, rest: ConnectRest): Promise<void> => {
  const version = await rest.version();
  const [major = 0, minor = 0] = version.split(".").map(Number);
  if (major < 3 || (major === 3 && minor < 7))
    say(
      "fail",
      `Kafka Connect ${version} cannot create a stopped connector or set offsets`,
      "Upgrade Connect to 3.7 or newer.",
    );
  else say("ok", `Kafka Connect ${version} at ${rest.url}`);
  const plugin = (await rest.plugins()).find((found) => found.class === SOURCE_CONNECTOR);
  if (plugin === undefined)
    say(
      "fail",
      `the MongoDB source connector is not installed`,
      "Put mongo-kafka-connect's `all` jar on Connect's plugin.path and restart it.",
    );
  else say("ok", `MongoDB source connector ${plugin.version ?? ""}`.trim());
};

/** What is worth changing although it works. */
const checkConnectorConfig = (say: Say, name: string, capture: CaptureConfig): void => {
  const { config } = capture;
  try {
    requireSuitable(name, capture);
  } catch (error) {
    if (!isFerry(error)) throw error;
    say("fail", error.detail, error.entry.hint);
  }
  if (capture.watch.level === "collection")
    say(
      "warn",
      `${name} watches a collection: after a drop or rename the connector skips the changes in between`,
      "Watch the database and select the collection by a $match, as deploy/recommended-connector.json does.",
    );
  if (capture.heartbeatMs === 0)
    say(
      "warn",
      `${name} has no heartbeats: the position of an idle collection gets old`,
      "Set heartbeat.interval.ms=10000.",
    );
  if (config["producer.override.max.request.size"] === undefined)
    say(
      "warn",
      `${name} uses Connect's default of max.request.size, which may be 1 MB: a larger document stops it`,
      "Set producer.override.max.request.size=33554432.",
    );
};

/** Connect: reachable, plugin there, connectors good and healthy. */
export const checkConnect = (capture: ConnectorHealthDeps): Promise<CheckResult[]> =>
  checking("connect", async (say) => {
    const { rest, kafka } = capture;
    await checkPlugin(say, rest);
    const topics = (await kafka?.topics()) ?? [];
    for (const { name, config, status } of await rest.all()) {
      if (!isSourceConnector(config)) continue;
      const parsed = parseConnector(config);
      say(
        "ok",
        `${name} is ${status.connector.state}, feeds ${topicsInScope(parsed, topics).join(", ") || "no topic yet"}`,
      );
      checkConnectorConfig(say, name, parsed);
    }
    for (const { code, sentence, remedy, dataAtStake } of (await checkCapture(capture)).findings)
      say(dataAtStake ? "fail" : "warn", `${code}: ${sentence}`, remedy);
  });
