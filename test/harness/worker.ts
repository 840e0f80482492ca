import { readFileSync } from "node:fs";
import { join } from "node:path";
import { isFerry } from "#base/errors/ferryError.ts";
import { systemClock } from "#base/flow/clock.ts";
import { waitFor } from "#base/flow/retry.ts";
import { isStopped } from "#tools/stack/process.ts";
import { type Exit, Server } from "#tools/stack/server.ts";
import { bareEnvironment, ferry, NODE_FLAGS } from "./ferry.ts";
import { removeFolder, tempFolder } from "./folders.ts";
import { ferryArgs } from "./leastPrivileged.ts";
import { within } from "./timeLimit.ts";

export type WorkerStart = Readonly<{
  source?: string;
  /** Undefined where no route goes to MongoDB. */
  target?: string;
  kafka: string;
  /** More flags, e.g. `["--on-error", "stop"]`. */
  args?: readonly string[];
  env?: Readonly<Record<string, string>>;
  leaseMs?: number;
}>;

const flags = ({ source, target, kafka, leaseMs = 1500, args = [] }: WorkerStart): string[] => [
  ...["worker", "--kafka", kafka],
  ...(target === undefined ? [] : ["--target", target]),
  ...(source === undefined ? [] : ["--source", source]),
  ...["--lease-ms", String(leaseMs), ...args],
];

/** What a process says when it has connected to where it writes. */
export const connectedText = ({ target }: Readonly<{ target?: string }>): string =>
  target === undefined ? "state database is a " : "target is a ";

let started = 0;

/** A long-lived `ferry COMMAND` as a child process. Disposal ends it. */
export class FerryProcess extends Server {
  readonly #folder: string;

  /** @param readyText what it says when it is connected */
  constructor(kind: string, args: readonly string[], env: Readonly<Record<string, string>>, readyText: string) {
    const folder = tempFolder().path;
    const logFile = join(folder, `${kind}.log`);
    super({
      name: `${kind}-${++started}`,
      command: process.execPath,
      args: [...NODE_FLAGS, ...ferryArgs(args)],
      env: bareEnvironment(env),
      cwd: process.cwd(),
      logFile,
      ports: [],
      ready: async () => (this.log().includes(readyText) ? true : "no first line yet"),
      readyTimeoutMs: 60_000,
      stopTimeoutMs: 20_000,
    });
    this.#folder = folder;
  }

  /** One that came to its fault point before it was looked at has started, too; one that does not become ready is ended. */
  override async start(signal?: AbortSignal): Promise<void> {
    try {
      await super.start(signal);
    } catch (error) {
      if (isFerry(error, "FERRY_STACK_CRASHED") && this.log().includes("fault point")) return;
      await this.stop();
      throw error;
    }
  }

  log(): string {
    try {
      return readFileSync(this.logFile, "utf8");
    } catch {
      return ""; // not started
    }
  }

  /** Waits for a text in its log. @throws FERRY_TIMEOUT with the log's tail. */
  async says(text: string | RegExp, timeoutMs = 30_000): Promise<void> {
    const found = (): boolean => (typeof text === "string" ? this.log().includes(text) : text.test(this.log()));
    await waitFor(async () => (found() ? { done: undefined } : { seen: this.logTail(10) }), {
      what: `${this.name} to say ${text}`,
      clock: systemClock,
      timeoutMs,
      everyMs: 50,
    });
  }

  /**
   * Waits until it stands still at its fault point (`FERRY_FAULT=POINT:N:stop`). It says so before it does so: who sent SIGCONT
   * on hearing it could be too early, and it would stand still for ever.
   * @throws FERRY_TIMEOUT with the log's tail
   */
  async freezes(timeoutMs = 30_000): Promise<void> {
    await this.says(/fault point .+: stop/, timeoutMs);
    await waitFor(async () => (isStopped(this.pid ?? -1) ? { done: undefined } : { seen: this.logTail(10) }), {
      what: `${this.name} to stand still`,
      clock: systemClock,
      timeoutMs,
      everyMs: 10,
    });
  }

  /** Resolves when it has ended, which it must within the patience of a test. @throws FERRY_TIMEOUT with the log's tail */
  override get exited(): Promise<Exit> {
    const seen = (): string => `${isStopped(this.pid ?? -1) ? "it stands still (SIGSTOP)\n" : ""}${this.logTail(20)}`;
    return within(super.exited, { what: `${this.name} to end`, seen });
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    removeFolder(this.#folder);
  }
}

/** `ferry worker` as a child process. */
export class WorkerProcess extends FerryProcess {
  constructor(options: WorkerStart) {
    super("worker", flags(options), options.env ?? {}, connectedText(options));
  }
}

/** A worker that has connected. The caller disposes of it. */
export const startWorker = async (options: WorkerStart): Promise<WorkerProcess> => {
  const worker = new WorkerProcess(options);
  await worker.start();
  return worker;
};

export type Ended = Readonly<{ code: number | null; stderr: string }>;

/** Runs a worker that is expected to end. @throws FERRY_TIMEOUT with what it said */
export const runWorker = async (options: WorkerStart): Promise<Ended> => {
  const { status: code, err: stderr } = await ferry(flags(options), { env: { ...options.env } });
  return { code, stderr };
};
