import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { LOOPBACK } from "#base/config/listenAddress.ts";
import { ensureSpace, makeFolder } from "./disk.ts";
import { javaArgs, LOG4J, propertiesText } from "./java.ts";
import { ensureJava } from "./javaArtefact.ts";
import { MAX_MESSAGE_BYTES } from "./kafka.ts";
import { ensureConnector, ensureKafka } from "./kafkaArtefact.ts";
import { freePort } from "./ports.ts";
import { type Readiness, type Running, Server, type ServerSpec, started } from "./server.ts";
import { sharedClasses } from "./sharedClasses.ts";

export type KafkaConnectOptions = Readonly<{
  /** Folder of configuration and log. Connect keeps its state in Kafka. */
  dir: string;
  name?: string;
  /** Kafka's host:port. */
  bootstrap: string;
  port?: number;
  /** Worker properties over the defaults below. */
  props?: Readonly<Record<string, string | number | boolean>>;
  heap?: string;
  detached?: boolean;
  report?: (line: string) => void;
  readyTimeoutMs?: number;
}>;

const NEEDED_BYTES = 128 * 2 ** 20;

/** The properties of a Connect worker: here, and in the image. */
export const workerProperties = (bootstrap: string, port: number, pluginPath: string) => ({
  "bootstrap.servers": bootstrap,
  "group.id": "docker-connect",
  listeners: `http://${LOOPBACK}:${port}`,
  "rest.advertised.host.name": LOOPBACK,
  "rest.advertised.port": port,
  "plugin.path": pluginPath,
  "plugin.discovery": "service_load",
  "key.converter": "org.apache.kafka.connect.storage.StringConverter",
  "value.converter": "org.apache.kafka.connect.storage.StringConverter",
  "config.storage.topic": "docker-connect-configs",
  "config.storage.replication.factor": 1,
  "offset.storage.topic": "docker-connect-offsets",
  "offset.storage.replication.factor": 1,
  "offset.storage.partitions": 1,
  "status.storage.topic": "docker-connect-status",
  "status.storage.replication.factor": 1,
  "status.storage.partitions": 1,
  "offset.flush.interval.ms": 1000,
  // Lets a connector's own file raise limits that a 16 MB document needs.
  "connector.client.config.override.policy": "All",
  "producer.max.request.size": MAX_MESSAGE_BYTES,
  "consumer.max.partition.fetch.bytes": MAX_MESSAGE_BYTES,
  // One worker: nothing is gained by leaving its tasks unassigned while a second one might return.
  "scheduled.rebalance.max.delay.ms": 0,
});

/** Kafka Connect in distributed mode, one worker. The caller disposes of it. */
export class ConnectServer extends Server {
  get port(): number {
    return this.spec.ports[0] ?? 0;
  }

  /** Base URL of the REST API, without a slash at the end. */
  get url(): string {
    return `http://${LOOPBACK}:${this.port}`;
  }
}

/** The REST API answers 200 for the list of connectors only once the worker has joined its group and read its state. */
export const connectReady = async (port: number): Promise<Readiness> => {
  try {
    const response = await fetch(`http://${LOOPBACK}:${port}/connectors`, { signal: AbortSignal.timeout(5000) });
    await response.arrayBuffer();
    return response.status === 200 ? true : `HTTP status ${response.status}`;
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    return `port ${port}: ${cause instanceof Error ? cause.message : String(cause)}`;
  }
};

/**
 * Prepares Connect without starting it. `running` is the process of an earlier start, to be taken over.
 * @throws FERRY_STACK_JAVA, FERRY_STACK_KAFKA, FERRY_STACK_CONNECTOR, FERRY_STACK_DISK, FERRY_STACK_PORT.
 */
export const prepareConnect = async (options: KafkaConnectOptions, running?: Running): Promise<ConnectServer> => {
  const { dir, name = "kafka-connect", report = () => undefined } = options;
  const java = await ensureJava(report);
  const libs = await ensureKafka(report);
  const plugins = await ensureConnector(report);
  await ensureSpace(dir, NEEDED_BYTES, name);
  const port = options.port ?? (await freePort());

  await makeFolder(dir);
  const config = join(dir, "connect.properties");
  const log4j = join(dir, "log4j2.xml");
  const properties = workerProperties(options.bootstrap, port, plugins);
  await writeFile(config, propertiesText({ ...properties, ...options.props }));
  await writeFile(log4j, LOG4J);

  const spec: ServerSpec = {
    name,
    command: java,
    args: [
      ...(await sharedClasses("connect", java, libs)),
      ...javaArgs(options.heap ?? "512m", libs, { "log4j2.configurationFile": log4j }),
      "org.apache.kafka.connect.cli.ConnectDistributed",
      config,
    ],
    cwd: dir,
    logFile: join(dir, "connect.log"),
    ports: [port],
    ...(options.detached === undefined ? {} : { detached: options.detached }),
    ready: () => connectReady(port),
    readyTimeoutMs: options.readyTimeoutMs ?? 240_000,
    stopTimeoutMs: 20_000,
  };
  return new ConnectServer(spec, running);
};

/**
 * Starts Kafka Connect with the MongoDB connector on its plugin path and waits until its REST API serves.
 * @throws what `prepareConnect` throws, FERRY_STACK_CRASHED, FERRY_STACK_NOT_READY.
 */
export const startConnect = async (options: KafkaConnectOptions): Promise<ConnectServer> =>
  started(await prepareConnect(options));
