import { readFileSync } from "node:fs";
import { systemClock } from "#base/flow/clock.ts";
import { waitFor } from "#base/flow/retry.ts";
import { KafkaClient } from "#io/kafka/client.ts";

/** deploy/recommended-connector.json for a collection on a test's own server; committing soon, so that a kill repeats less. */
export const recommendedConnector = (uri: string, db: string, coll: string): Record<string, string> => {
  const file = readFileSync("deploy/recommended-connector.json", "utf8").replaceAll('\\"users\\"', `\\"${coll}\\"`);
  const { config } = JSON.parse(file) as { config: Record<string, string> };
  return {
    ...config,
    "connection.uri": `${uri}&readConcernLevel=majority`,
    database: db,
    "startup.mode.copy.existing.namespace.regex": `^${db}\\.${coll}$`,
    "offset.partition.name": `${db}-${coll}`,
    "poll.await.time.ms": "200",
    "heartbeat.interval.ms": "1000",
  };
};

/** The user's own connector file: JSON, deltas without documents. */
export const seedConnector = (uri: string, db: string, coll: string): Record<string, string> => ({
  "connector.class": "com.mongodb.kafka.connect.MongoSourceConnector",
  "connection.uri": uri,
  database: db,
  collection: coll,
  "startup.mode": "copy_existing",
});

/** Creates a topic with room for 16 MB documents. */
export const createTopic = async (kafka: string, topic: string, partitions: number): Promise<void> => {
  await using client = new KafkaClient({ bootstrap: kafka, clientId: "test-topic", group: "test-topic" });
  await client.createTopic(topic, partitions, { "max.message.bytes": "33554432" });
  await waitFor(
    async () => {
      const found = await client.partitions(topic).catch(() => 0);
      return found === partitions ? { done: undefined } : { seen: found };
    },
    { what: `topic ${topic}`, clock: systemClock, timeoutMs: 20_000 },
  );
};

type Status = Readonly<{ connector?: { state: string }; tasks?: readonly { state: string; trace?: string }[] }>;

/** Waits until the connector and its one task run. @throws FERRY_TIMEOUT, or an Error with the task's trace. */
export const connectorRuns = (url: string, name: string): Promise<void> =>
  waitFor(
    async () => {
      const status = (await (await fetch(`${url}/connectors/${name}/status`)).json().catch(() => ({}))) as Status;
      const [task] = status.tasks ?? [];
      if (task?.state === "FAILED") throw new Error(`connector ${name}: ${task.trace}`);
      return status.connector?.state === "RUNNING" && task?.state === "RUNNING"
        ? { done: undefined }
        : { seen: status };
    },
    { what: `connector ${name} to run`, clock: systemClock, timeoutMs: 60_000 },
  );

/** Posts a connector and waits until it runs. */
export const startConnector = async (url: string, name: string, config: Record<string, string>): Promise<void> => {
  const body = JSON.stringify({ name, config });
  await waitFor(
    async () => {
      const headers = { "content-type": "application/json" };
      const answer = await fetch(`${url}/connectors`, { method: "POST", headers, body });
      const text = await answer.text();
      if (answer.ok) return { done: undefined };
      if (answer.status !== 409) throw new Error(`connector ${name}: ${answer.status} ${text}`);
      return { seen: text }; // a rebalance
    },
    { what: `connector ${name} to be taken`, clock: systemClock, timeoutMs: 60_000 },
  );
  await connectorRuns(url, name);
};
