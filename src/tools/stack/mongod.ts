import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Document } from "bson";
import { LOOPBACK } from "#base/config/listenAddress.ts";
import { FerryError } from "#base/errors/ferryError.ts";
import { systemClock } from "#base/flow/clock.ts";
import { waitFor } from "#base/flow/retry.ts";
import { ServerCode } from "#io/mongo/serverCodes.ts";
import { ensureSpace } from "./disk.ts";
import { mongoCommand } from "./mongoCommand.ts";
import { ensureMongod } from "./mongodArtefact.ts";
import { freePorts } from "./ports.ts";
import { type Readiness, type Running, Server, type ServerSpec, started } from "./server.ts";

export type MongoOptions = Readonly<{
  /** Folder of data and logs; made if missing. What is in it is kept: the same folder is the same database. */
  dir: string;
  /** Of the server; the members of a set of three are NAME-1 to NAME-3. */
  name: string;
  /** Of the first member; the others follow in `ports`. Free ones are taken where not given. */
  port?: number;
  ports?: readonly number[];
  nodes?: 1 | 3;
  /** Name of the replica set; null starts a standalone server, which has no oplog and no transactions. */
  replSet: string | null;
  /** WiredTiger cache of each member, GB. */
  cacheGb?: number;
  args?: readonly string[];
  setParameters?: Readonly<Record<string, string | number | boolean>>;
  /** Allows `configureFailPoint`. */
  testCommands?: boolean;
  /** Survives this process. */
  detached?: boolean;
  /** Path of mongod; looked up when not given. */
  mongod?: string;
  readyTimeoutMs?: number;
  report?: (line: string) => void;
}>;

const NEEDED_BYTES = 512 * 2 ** 20;

const parameters = (options: MongoOptions): readonly string[] =>
  Object.entries({
    diagnosticDataCollectionEnabled: false,
    // On SIGTERM a primary would wait up to 15 s for a secondary to take over; here all members stop together.
    shutdownTimeoutMillisForSignaledShutdown: 100,
    ...(options.testCommands ? { enableTestCommands: true } : {}),
    ...options.setParameters,
  }).flatMap(([name, value]) => ["--setParameter", `${name}=${value}`]);

/** The spec of one member. */
export const mongodSpec = (options: MongoOptions, mongod: string, name: string, port: number): ServerSpec => {
  const dbpath = join(options.dir, name, "db");
  mkdirSync(dbpath, { recursive: true });
  return {
    name,
    command: mongod,
    args: [
      ...["--dbpath", dbpath, "--port", String(port), "--bind_ip", LOOPBACK, "--nounixsocket"],
      ...(options.replSet === null ? [] : ["--replSet", options.replSet]),
      ...["--wiredTigerCacheSizeGB", String(options.cacheGb ?? 0.5)],
      ...parameters(options),
      ...(options.args ?? []),
    ],
    cwd: join(options.dir, name),
    logFile: join(options.dir, name, "mongod.log"),
    ports: [port],
    ...(options.detached === undefined ? {} : { detached: options.detached }),
    ready: () => mongodReady(port),
    readyTimeoutMs: options.readyTimeoutMs ?? 120_000,
    stopTimeoutMs: 30_000,
  };
};

/** A reply, or the reason why there is none; nothing is thrown while a server starts. */
const ask = async (port: number, command: Document): Promise<Document> => {
  try {
    return await mongoCommand(port, command);
  } catch (error) {
    return { ok: 0, errmsg: error instanceof Error ? error.message : String(error) };
  }
};

/** Does a mongod answer there? */
export const mongodReady = async (port: number): Promise<Readiness> => {
  const hello = await ask(port, { hello: 1, $db: "admin" });
  return hello["ok"] === 1 ? true : `port ${port}: ${hello["errmsg"]}`;
};

const initiate = async (replSet: string, ports: readonly number[]): Promise<void> => {
  const [first = 0] = ports;
  const hello = await ask(first, { hello: 1, $db: "admin" });
  if (typeof hello["setName"] === "string") return; // the data folder knows its set
  const members = ports.map((port, _id) => ({ _id, host: `${LOOPBACK}:${port}`, priority: _id === 0 ? 2 : 1 }));
  // Members that stop together are not worth the default 10 s before an election.
  const settings = ports.length === 1 ? {} : { electionTimeoutMillis: 2000, heartbeatIntervalMillis: 500 };
  const reply = await ask(first, { replSetInitiate: { _id: replSet, members, settings }, $db: "admin" });
  if (reply["ok"] !== 1 && reply["code"] !== ServerCode.AlreadyInitialized)
    throw new FerryError("FERRY_STACK_NOT_READY", `the replica set ${replSet} cannot be initiated: ${reply["errmsg"]}`);
};

/** A mongod, or a replica set of them, as one handle. The caller disposes of it. */
export class MongoServer implements AsyncDisposable {
  readonly name: string;
  readonly nodes: readonly Server[];
  readonly ports: readonly number[];
  /** Names every member, and the replica set if there is one. No credentials. */
  readonly uri: string;
  readonly #replSet: string | null;
  readonly #readyTimeoutMs: number;

  constructor(options: MongoOptions, nodes: readonly Server[], ports: readonly number[]) {
    this.name = options.name;
    this.nodes = nodes;
    this.ports = ports;
    this.#replSet = options.replSet;
    this.#readyTimeoutMs = options.readyTimeoutMs ?? 120_000;
    const hosts = ports.map((port) => `${LOOPBACK}:${port}`).join(",");
    this.uri = `mongodb://${hosts}/${options.replSet === null ? "" : `?replicaSet=${options.replSet}`}`;
  }

  /** The first, and mostly only, member. */
  get node(): Server {
    const [first] = this.nodes;
    if (first === undefined) throw new FerryError("FERRY_BUG", `${this.name} has no member`);
    return first;
  }

  get port(): number {
    return this.ports[0] ?? 0;
  }

  get pid(): number | undefined {
    return this.node.pid;
  }

  get logFile(): string {
    return this.node.logFile;
  }

  /** Does every member run? */
  isRunning(): boolean {
    return this.nodes.every((node) => node.isRunning());
  }

  /**
   * Starts members that do not run, initiates the set once, and waits for a primary that takes writes.
   * @throws FERRY_STACK_PORT, FERRY_STACK_CRASHED, FERRY_STACK_NOT_READY.
   */
  async start(signal?: AbortSignal): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.start(signal)));
    if (this.#replSet !== null) await initiate(this.#replSet, this.ports);
    await this.primary(signal);
  }

  /** Waits for a member that takes writes. @returns its server. @throws FERRY_TIMEOUT. */
  primary(signal?: AbortSignal): Promise<Server> {
    return waitFor(
      async () => {
        const hellos = await Promise.all(this.ports.map((port) => ask(port, { hello: 1, $db: "admin" })));
        const at = hellos.findIndex((hello) => hello["isWritablePrimary"] === true);
        const server = this.nodes[at];
        if (server !== undefined) return { done: server };
        return { seen: hellos.map((hello) => hello["errmsg"] ?? (hello["secondary"] ? "secondary" : "starting")) };
      },
      {
        what: `${this.name} to have a primary`,
        clock: systemClock,
        timeoutMs: this.#readyTimeoutMs,
        everyMs: 50,
        signal,
      },
    );
  }

  async stop(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.stop()));
  }

  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }

  /** Signals the first member; for another one use `nodes`. */
  kill(signal: NodeJS.Signals): void {
    this.node.kill(signal);
  }

  logTail(lines = 15): string {
    return this.node.logTail(lines);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

/**
 * Prepares the handle without starting anything. `running` names processes of an earlier start, to be taken over.
 * @throws FERRY_STACK_MONGOD, FERRY_STACK_DISK, FERRY_STACK_PORT.
 */
export const prepareMongo = async (
  options: MongoOptions,
  running: Readonly<Record<string, Running>> = {},
): Promise<MongoServer> => {
  const mongod = options.mongod ?? (await ensureMongod(options.report ?? (() => undefined)));
  await ensureSpace(options.dir, NEEDED_BYTES, options.name);
  const count = options.nodes ?? 1;
  const given = options.ports ?? (options.port === undefined ? [] : [options.port]);
  const ports = [...given, ...(await freePorts(Math.max(0, count - given.length), new Set(given)))];
  const nodes = ports.map((port, index) => {
    const name = count === 1 ? options.name : `${options.name}-${index + 1}`;
    return new Server(mongodSpec(options, mongod, name, port), running[name]);
  });
  return new MongoServer(options, nodes, ports);
};

/**
 * Starts a mongod (or a replica set of three) and waits until it takes writes.
 * @throws FERRY_STACK_MONGOD, FERRY_STACK_DISK, FERRY_STACK_PORT, FERRY_STACK_CRASHED, FERRY_STACK_NOT_READY.
 */
export const startMongo = async (options: MongoOptions): Promise<MongoServer> => started(await prepareMongo(options));
