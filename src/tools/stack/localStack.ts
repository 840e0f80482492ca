import { globSync } from "node:fs";
import { rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { FerryError, isFerry } from "#base/errors/ferryError.ts";
import { TaskGroup } from "#base/flow/taskGroup.ts";
import { ensureSpace, requireOpenFiles, withLock } from "./disk.ts";
import { ensureJava } from "./javaArtefact.ts";
import { type KafkaServer, prepareKafka } from "./kafka.ts";
import { ensureConnector, ensureKafka } from "./kafkaArtefact.ts";
import { type ConnectServer, prepareConnect } from "./kafkaConnect.ts";
import { type MongoServer, prepareMongo } from "./mongod.ts";
import { ensureMongod } from "./mongodArtefact.ts";
import { freePorts } from "./ports.ts";
import { logExcerpt, type Running, recordedProcess, Server } from "./server.ts";
import {
  dataFolder,
  readState,
  recordOf,
  type ServerKind,
  type StackState,
  serverOf,
  writeState,
} from "./stackState.ts";
import { workerSpec } from "./stackWorker.ts";

export type UpOptions = Readonly<{
  /** State folder; see `stateFolder` of `#config/settings.ts`. */
  folder: string;
  /** Members of each replica set; as before, or 1. */
  mongoNodes?: 1 | 3;
  /** How many; as many as before, or 1. */
  workers?: number;
  /** The script that is `ferry` itself, for the workers. */
  workerEntry: string;
  /** Ports that were asked for, by server name. */
  ports?: Readonly<Record<string, number>>;
  stateDb?: string;
  /** Ends the waiting; what was started stays up. */
  signal?: AbortSignal;
  report: (line: string) => void;
}>;

const LOCK_TIMEOUT_MS = 5 * 60_000;
const NEEDED_BYTES = 2 * 2 ** 30;
const SOURCE = "mongo-source";
const TARGET = "mongo-target";

const memberNames = (name: string, nodes: 1 | 3): readonly string[] =>
  nodes === 1 ? [name] : [1, 2, 3].map((index) => `${name}-${index}`);

const portNames = (nodes: 1 | 3): readonly string[] => [
  ...memberNames(SOURCE, nodes),
  ...memberNames(TARGET, nodes),
  "kafka",
  "kafka-controller",
  "kafka-connect",
];

/**
 * Ports of all servers: as before, else as asked for, else free ones.
 * @throws FERRY_USAGE for an unknown name, FERRY_STACK_STATE for another port than the one that the data remembers.
 */
const choosePorts = async (
  nodes: 1 | 3,
  before: Readonly<Record<string, number>>,
  asked: Readonly<Record<string, number>>,
): Promise<Readonly<Record<string, number>>> => {
  const names = portNames(nodes);
  for (const [name, port] of Object.entries(asked)) {
    if (!names.includes(name))
      throw new FerryError("FERRY_USAGE", `--port ${name}: no such server; there are ${names.join(", ")}`);
    if (before[name] !== undefined && before[name] !== port)
      throw new FerryError(
        "FERRY_STACK_STATE",
        `${name} was set up on port ${before[name]}, which its data and the connector's offsets remember`,
      );
  }
  const known = { ...asked, ...before };
  const missing = names.filter((name) => known[name] === undefined);
  const free = await freePorts(missing.length, new Set(Object.values(known)));
  return { ...known, ...Object.fromEntries(missing.map((name, index) => [name, free[index] as number])) };
};

type Roles = Readonly<{ source: MongoServer; target: MongoServer; kafka: KafkaServer; connect: ConnectServer }>;

/** Finds or fetches the programs, the database's beside those for Java. What can be fetched is kept even if one cannot. */
const provision = async (report: (line: string) => void): Promise<string> => {
  await using tasks = new TaskGroup();
  let mongod = "";
  tasks.run(async () => {
    mongod = await ensureMongod(report);
  });
  tasks.run(async () => {
    await ensureJava(report);
    await ensureKafka(report);
    await ensureConnector(report);
  });
  await tasks.settled();
  return mongod;
};

const prepareRoles = async (
  dir: string,
  nodes: 1 | 3,
  ports: Readonly<Record<string, number>>,
  mongod: string,
): Promise<Roles> => {
  const port = (name: string): number => ports[name] as number;
  const database = (name: string, replSet: string): Promise<MongoServer> => {
    const members = memberNames(name, nodes);
    const running = Object.fromEntries(
      members.flatMap((member): [string, Running][] => {
        const process = recordedProcess(join(dir, member, "mongod.log"));
        return process === undefined ? [] : [[member, process]];
      }),
    );
    return prepareMongo({ dir, name, nodes, ports: members.map(port), replSet, mongod, detached: true }, running);
  };
  const kafkaDir = join(dir, "kafka");
  const connectDir = join(dir, "kafka-connect");
  const [source, target, kafka] = await Promise.all([
    database(SOURCE, "rs-source"),
    database(TARGET, "rs-target"),
    prepareKafka(
      { dir: kafkaDir, port: port("kafka"), controllerPort: port("kafka-controller"), detached: true },
      recordedProcess(join(kafkaDir, "kafka.log")),
    ),
  ]);
  const connect = await prepareConnect(
    { dir: connectDir, bootstrap: kafka.bootstrap, port: port("kafka-connect"), detached: true },
    recordedProcess(join(connectDir, "connect.log")),
  );
  return { source, target, kafka, connect };
};

const stateOf = (
  { source, target, kafka, connect }: Roles,
  options: Readonly<{ mongoNodes: 1 | 3; ports: Readonly<Record<string, number>>; stateDb: string }>,
  workers: readonly Server[],
): StackState => {
  const hosts = (server: MongoServer): string => server.ports.map((port) => `127.0.0.1:${port}`).join(",");
  const members = (server: MongoServer) => server.nodes.map((node) => recordOf("mongod", server.uri, node.spec));
  return {
    version: 1,
    endpoints: {
      source: source.uri,
      target: target.uri,
      kafka: kafka.bootstrap,
      connect: connect.url,
      names: {
        [SOURCE]: hosts(source),
        [TARGET]: hosts(target),
        kafka: kafka.bootstrap,
        "kafka-connect": `127.0.0.1:${connect.port}`,
      },
    },
    ...options,
    servers: [
      ...members(source),
      ...members(target),
      recordOf("kafka", kafka.bootstrap, kafka.spec),
      recordOf("kafka-connect", connect.url, connect.spec),
      ...workers.map((worker) => recordOf("worker", target.uri, worker.spec, target.ports)),
    ],
  };
};

const makeWorkers = (dir: string, roles: Roles, count: number, entry: string, stateDb: string): readonly Server[] =>
  Array.from({ length: count }, (_, index) => {
    const spec = workerSpec({
      dir,
      name: `worker-${index + 1}`,
      entry,
      env: {
        FERRY_SOURCE: roles.source.uri,
        FERRY_TARGET: roles.target.uri,
        FERRY_KAFKA: roles.kafka.bootstrap,
        FERRY_CONNECT: roles.connect.url,
      },
      targetPorts: roles.target.ports,
      stateDb,
    });
    return new Server(spec, recordedProcess(spec.logFile));
  });

const reportCrashes = (before: StackState, report: (line: string) => void): void => {
  for (const record of before.servers) {
    const server = serverOf(record, before.stateDb);
    if (server.running === undefined || server.isRunning()) continue;
    report(`${server.name} had ended unexpectedly and is started again; ${logExcerpt(server.logFile)}`);
  }
};

type Startable = Readonly<{ name: string; isRunning: () => boolean; start: (signal: AbortSignal) => Promise<void> }>;

/**
 * Starts side by side: Connect asks for its Kafka until it is there, and the workers wait for what they talk to. The first
 * failure ends the waiting for the others, which stay up for the next `up`.
 */
const startAll = async (
  { source, target, kafka, connect }: Roles,
  workers: readonly Server[],
  report: (line: string) => void,
  signal: AbortSignal | undefined,
): Promise<void> => {
  await using tasks = new TaskGroup(signal);
  const start = async (server: Startable): Promise<void> => {
    const [begun, ran] = [performance.now(), server.isRunning()];
    await server.start(tasks.signal);
    const seconds = ((performance.now() - begun) / 1000).toFixed(1);
    report(ran ? `${server.name}: already runs` : `${server.name}: ready after ${seconds} s`);
  };
  for (const server of [source, connect]) tasks.run(() => start(server));
  tasks.run(async () => {
    await Promise.all([start(target), start(kafka)]);
    await Promise.all(workers.map(start));
  });
  await tasks.settled();
};

/**
 * Brings the local stack up: finds or fetches what is missing, starts what does not run on the ports it had before, and
 * waits until everything answers. Harmless when it is up; a crashed server is named with the end of its log and started
 * again. Servers survive this process.
 * @throws FERRY_STACK_* for each bad case, FERRY_USAGE, FERRY_TIMEOUT when another `ferry stack` holds the folder.
 */
export const stackUp = (options: UpOptions): Promise<void> =>
  withLock(join(options.folder, "stack.lock"), LOCK_TIMEOUT_MS, async () => {
    const { folder, report } = options;
    requireOpenFiles();
    const before = readState(folder);
    const mongoNodes = options.mongoNodes ?? before?.mongoNodes ?? 1;
    if (before !== undefined && before.mongoNodes !== mongoNodes)
      throw new FerryError(
        "FERRY_STACK_STATE",
        `the stack in ${folder} has replica sets of ${before.mongoNodes}, and ${mongoNodes} were asked for`,
      );
    const stateDb = options.stateDb ?? before?.stateDb ?? "ferry";
    const ports = await choosePorts(mongoNodes, before?.ports ?? {}, options.ports ?? {});
    if (before !== undefined) reportCrashes(before, report);

    const mongod = await provision(report);
    const dir = dataFolder(folder);
    await ensureSpace(dir, NEEDED_BYTES, "the local stack");
    const roles = await prepareRoles(dir, mongoNodes, ports, mongod);
    const wanted = options.workers ?? before?.servers.filter((record) => record.kind === "worker").length ?? 1;
    const workers = makeWorkers(dir, roles, wanted, options.workerEntry, stateDb);
    await stopSurplus(before, wanted, report);
    await writeState(folder, stateOf(roles, { mongoNodes, ports, stateDb }, workers));

    await startAll(roles, workers, report, options.signal);
  });

/** Workers beyond the number that is wanted now. */
const stopSurplus = async (
  before: StackState | undefined,
  wanted: number,
  report: (line: string) => void,
): Promise<void> => {
  if (before === undefined) return;
  const surplus = before.servers.filter((record) => record.kind === "worker").slice(wanted);
  await stopServers(
    surplus.map((record) => serverOf(record, before.stateDb)),
    report,
  );
};

const stopServers = async (servers: readonly Server[], report: (line: string) => void): Promise<void> => {
  await Promise.all(
    servers.map(async (server) => {
      const was = server.isRunning();
      await server.stop();
      if (was) report(`${server.name}: stopped`);
    }),
  );
};

/** Clients before what they talk to. */
const STOP_ORDER: readonly (readonly ServerKind[])[] = [["worker"], ["kafka-connect"], ["kafka", "mongod"]];

/** Stops every server of the stack. Ports, data and logs stay. Harmless when nothing runs. @throws FERRY_STACK_STATE. */
export const stackDown = (folder: string, report: (line: string) => void): Promise<void> =>
  withLock(join(folder, "stack.lock"), LOCK_TIMEOUT_MS, async () => {
    const state = readState(folder);
    for (const kinds of STOP_ORDER) {
      const records = (state?.servers ?? []).filter((record) => kinds.includes(record.kind));
      await stopServers(
        records.map((record) => serverOf(record, state?.stateDb ?? "")),
        report,
      );
    }
  });

/** Processes by what is recorded beside their logs, where the state file does not tell. */
const recordedServers = (folder: string): readonly Server[] => {
  const data = dataFolder(folder);
  return globSync("*/*.log.pid", { cwd: data }).map((file) => {
    const logFile = join(data, file.replace(/\.pid$/, ""));
    const rest = { command: "", args: [], cwd: data, ports: [], ready: async () => true as const, readyTimeoutMs: 0 };
    return new Server({ name: dirname(file), logFile, stopTimeoutMs: 30_000, ...rest }, recordedProcess(logFile));
  });
};

/**
 * Stops the stack and removes its data, ports and logs. Where the state file is damaged, what runs is found by the records
 * beside the logs.
 */
export const stackReset = async (folder: string, report: (line: string) => void): Promise<void> => {
  try {
    await stackDown(folder, report);
  } catch (error) {
    if (!isFerry(error, "FERRY_STACK_STATE")) throw error;
    report(`${error.detail}; running servers are found by their pid files`);
    await stopServers(recordedServers(folder), report);
  }
  await rm(dataFolder(folder), { recursive: true, force: true });
  await rm(join(folder, "stack.json"), { force: true });
  report(`removed ${dataFolder(folder)} and stack.json`);
};
