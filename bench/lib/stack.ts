import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MongoClient } from "mongodb";
import { systemClock } from "#base/flow/clock.ts";
import { waitFor } from "#base/flow/retry.ts";
import { type KafkaServer, startKafka } from "#tools/stack/kafka.ts";
import { type ConnectServer, startConnect } from "#tools/stack/kafkaConnect.ts";
import { type MongoServer, startMongo } from "#tools/stack/mongod.ts";

export type BenchStack = AsyncDisposable &
  Readonly<{ source: MongoServer; target: MongoServer; kafka: KafkaServer; connect: ConnectServer }>;

/** Source, target, Kafka and Connect for one bench, in a folder of their own, with memory to spare for every contestant. */
export const startStack = async (): Promise<BenchStack> => {
  const dir = mkdtempSync(join(tmpdir(), "ferry-bench-"));
  const [source, target, kafka] = await Promise.all([
    startMongo({ dir: join(dir, "source"), name: "source", replSet: "rs-source", cacheGb: 1.5 }),
    startMongo({ dir: join(dir, "target"), name: "target", replSet: "rs-target", cacheGb: 1.5 }),
    startKafka({ dir: join(dir, "kafka"), heap: "1g" }),
  ]);
  const connect = await startConnect({ dir: join(dir, "connect"), bootstrap: kafka.bootstrap, heap: "2g" });
  return {
    source,
    target,
    kafka,
    connect,
    [Symbol.asyncDispose]: async () => {
      await connect.stop();
      await Promise.all([kafka.stop(), source.stop(), target.stop()]);
      rmSync(dir, { recursive: true, force: true });
    },
  };
};

/** What the servers say of themselves. */
export const versionsOf = async (stack: BenchStack): Promise<Record<string, string>> => {
  const client = await MongoClient.connect(stack.target.uri);
  const { version } = (await client.db("admin").command({ buildInfo: 1 })) as { version?: string };
  await client.close();
  const connect = (await (await fetch(stack.connect.url)).json()) as { version: string };
  const plugins = (await (await fetch(`${stack.connect.url}/connector-plugins`)).json()) as {
    class: string;
    version?: string;
  }[];
  const connector = plugins.find((plugin) => plugin.class.endsWith("MongoSourceConnector"))?.version;
  return { mongod: version ?? "unknown", kafka: connect.version, connector: connector ?? "unknown" };
};

/** Posts a connector and waits until it and its tasks run. */
export const startConnector = async (
  url: string,
  name: string,
  config: Readonly<Record<string, string>>,
): Promise<void> => {
  const answer = await fetch(`${url}/connectors`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ name, config }),
  });
  if (!answer.ok) throw new Error(`connector ${name}: ${await answer.text()}`);
  await waitFor(
    async () => {
      const status = (await (await fetch(`${url}/connectors/${name}/status`)).json()) as {
        connector?: { state: string };
        tasks?: { state: string; trace?: string }[];
      };
      const states = [status.connector?.state, ...(status.tasks ?? []).map((task) => task.state)];
      const failed = status.tasks?.find((task) => task.state === "FAILED");
      if (failed !== undefined) throw new Error(`connector ${name}: ${failed.trace?.slice(0, 2000)}`);
      return states.length > 1 && states.every((state) => state === "RUNNING") ? { done: undefined } : { seen: states };
    },
    { what: `connector ${name} RUNNING`, clock: systemClock, timeoutMs: 60_000 },
  );
};

/** Deletes a connector and waits until it is gone. */
export const deleteConnector = async (url: string, name: string): Promise<void> => {
  await fetch(`${url}/connectors/${name}`, { method: "DELETE" });
  await waitFor(
    async () =>
      (await fetch(`${url}/connectors/${name}/status`)).status === 404 ? { done: undefined } : { seen: "still there" },
    { what: `connector ${name} gone`, clock: systemClock, timeoutMs: 30_000 },
  );
};
