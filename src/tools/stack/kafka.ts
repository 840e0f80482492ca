import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { copyFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { LOOPBACK } from "#base/config/listenAddress.ts";
import { FerryError } from "#base/errors/ferryError.ts";
import { ensureCached } from "./artefacts.ts";
import { ensureSpace, makeFolder, writeAtomically } from "./disk.ts";
import { javaArgs, LOG4J, propertiesText } from "./java.ts";
import { ensureJava } from "./javaArtefact.ts";
import { ensureKafka } from "./kafkaArtefact.ts";
import { knownBrokers } from "./kafkaMetadata.ts";
import { VERSIONS } from "./pins.ts";
import { freePorts } from "./ports.ts";
import { runProgram } from "./process.ts";
import { type Readiness, type Running, Server, type ServerSpec, started } from "./server.ts";
import { sharedClasses } from "./sharedClasses.ts";

export type KafkaServerOptions = Readonly<{
  /** Folder of data, configuration and log; the same folder is the same broker. */
  dir: string;
  name?: string;
  port?: number;
  /** Of the KRaft controller in the same process. */
  controllerPort?: number;
  /** Broker properties over the defaults below. */
  props?: Readonly<Record<string, string | number | boolean>>;
  heap?: string;
  detached?: boolean;
  report?: (line: string) => void;
  readyTimeoutMs?: number;
}>;

const NEEDED_BYTES = 512 * 2 ** 20;

/** A document of 16 MB and its event around it must fit into one message. */
export const MAX_MESSAGE_BYTES = 32 * 2 ** 20;

/** The properties of a broker: here, and by variables in containers. */
export const brokerProperties = (dir: string, port: number, controllerPort: number) => ({
  "process.roles": "broker,controller",
  "node.id": 1,
  "controller.quorum.voters": `1@${LOOPBACK}:${controllerPort}`,
  listeners: `PLAINTEXT://${LOOPBACK}:${port},CONTROLLER://${LOOPBACK}:${controllerPort}`,
  "advertised.listeners": `PLAINTEXT://${LOOPBACK}:${port}`,
  "controller.listener.names": "CONTROLLER",
  "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
  "log.dirs": join(dir, "data"),
  "message.max.bytes": MAX_MESSAGE_BYTES,
  "replica.fetch.max.bytes": MAX_MESSAGE_BYTES,
  "num.partitions": 1,
  "auto.create.topics.enable": true,
  // Records must outlast any pause of the workers: what retention removes cannot be applied any more.
  "log.retention.ms": -1,
  "group.initial.rebalance.delay.ms": 0,
  "offsets.topic.replication.factor": 1,
  "offsets.topic.num.partitions": 5,
  "transaction.state.log.replication.factor": 1,
  "transaction.state.log.min.isr": 1,
  "transaction.state.log.num.partitions": 5,
  "share.coordinator.state.topic.replication.factor": 1,
  "share.coordinator.state.topic.min.isr": 1,
  "share.coordinator.state.topic.num.partitions": 1,
  // The default buffer of 128 MiB would be a quarter of the heap.
  "log.cleaner.dedupe.buffer.size": 16 * 2 ** 20,
});

/** A single-node Kafka: broker and controller in one process. The caller disposes of it. */
export class KafkaServer extends Server {
  get port(): number {
    return this.spec.ports[0] ?? 0;
  }

  /** host:port for clients. */
  get bootstrap(): string {
    return `${LOOPBACK}:${this.port}`;
  }
}

/**
 * A KRaft node refuses to start on a folder that was not formatted. The tool for that needs a Java of its own, 2 s each
 * time, to write two files: one is the same for every cluster of this version, so it is made once and kept in the cache;
 * the other names the cluster and the folder.
 */
const format = async (java: string, libs: string, dir: string): Promise<void> => {
  const data = join(dir, "data");
  if (existsSync(join(data, "meta.properties"))) return;
  await makeFolder(data);
  await copyFile(await checkpointTemplate(java, libs), join(data, CHECKPOINT));
  const id = (): string => randomBytes(16).toString("base64url");
  const meta = { version: 1, "node.id": 1, "cluster.id": id(), "directory.id": id() };
  await writeAtomically(join(data, "meta.properties"), propertiesText(meta));
};

/** The features that a new cluster begins with, as records. */
const CHECKPOINT = "bootstrap.checkpoint";

const checkpointTemplate = (java: string, libs: string): Promise<string> =>
  ensureCached(
    {
      what: "Kafka's initial metadata",
      folder: `kafka-${VERSIONS.kafka}-formatted`,
      entry: CHECKPOINT,
      bytes: 2 ** 20,
      failure: "FERRY_STACK_KAFKA",
      routes: [
        {
          name: "Kafka's storage tool",
          fetch: async (folder) => {
            const config = join(folder, "server.properties");
            const data = join(folder, "data");
            await writeFile(config, propertiesText({ ...brokerProperties(folder, 9092, 9093), "log.dirs": data }));
            const tool = [
              "kafka.tools.StorageTool",
              "format",
              "-t",
              randomBytes(16).toString("base64url"),
              "-c",
              config,
            ];
            const result = await runProgram(java, [...javaArgs("256m", libs), ...tool], { timeoutMs: 120_000 });
            const said = `${result.stdout}\n${result.stderr}`.trim().split("\n").at(-1);
            if (result.code !== 0)
              throw new FerryError("FERRY_STACK_KAFKA", `it cannot format a folder: ${result.failure ?? said}`);
            await rename(join(data, CHECKPOINT), join(folder, CHECKPOINT));
            await rm(data, { recursive: true });
          },
        },
      ],
    },
    () => undefined,
  );

/** Does a broker that is registered with its controller answer there? */
export const kafkaReady = async (port: number): Promise<Readiness> => {
  try {
    return (await knownBrokers(port)) > 0 ? true : "the broker is not registered yet";
  } catch (error) {
    return `port ${port}: ${error instanceof Error ? error.message : String(error)}`;
  }
};

/**
 * Prepares the broker without starting it. `running` is the process of an earlier start, to be taken over.
 * @throws FERRY_STACK_JAVA, FERRY_STACK_KAFKA, FERRY_STACK_DISK, FERRY_STACK_PORT.
 */
export const prepareKafka = async (options: KafkaServerOptions, running?: Running): Promise<KafkaServer> => {
  const { dir, name = "kafka", report = () => undefined } = options;
  const java = await ensureJava(report);
  const libs = await ensureKafka(report);
  await ensureSpace(dir, NEEDED_BYTES, name);
  const given = [options.port, options.controllerPort].filter((port) => port !== undefined);
  const free = await freePorts(2 - given.length, new Set(given));
  const port = options.port ?? (free.pop() as number);
  const controllerPort = options.controllerPort ?? (free.pop() as number);

  await makeFolder(dir);
  const config = join(dir, "server.properties");
  const log4j = join(dir, "log4j2.xml");
  await writeFile(config, propertiesText({ ...brokerProperties(dir, port, controllerPort), ...options.props }));
  await writeFile(log4j, LOG4J);
  await format(java, libs, dir);

  const spec: ServerSpec = {
    name,
    command: java,
    args: [
      ...(await sharedClasses("kafka", java, libs)),
      ...javaArgs(options.heap ?? "512m", libs, { "log4j2.configurationFile": log4j }),
      "kafka.Kafka",
      config,
    ],
    cwd: dir,
    logFile: join(dir, "kafka.log"),
    ports: [port, controllerPort],
    ...(options.detached === undefined ? {} : { detached: options.detached }),
    ready: () => kafkaReady(port),
    readyTimeoutMs: options.readyTimeoutMs ?? 180_000,
    stopTimeoutMs: 30_000,
  };
  return new KafkaServer(spec, running);
};

/**
 * Starts a single-node Kafka and waits until it takes requests.
 * @throws what `prepareKafka` throws, FERRY_STACK_CRASHED, FERRY_STACK_NOT_READY.
 */
export const startKafka = async (options: KafkaServerOptions): Promise<KafkaServer> =>
  started(await prepareKafka(options));
