import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { addressVariables } from "#base/config/settings.ts";
import { FerryError, isFerry } from "#base/errors/ferryError.ts";
import { systemClock } from "#base/flow/clock.ts";
import { waitFor } from "#base/flow/retry.ts";
import { makeFolder } from "./disk.ts";
import { isPortFree } from "./ports.ts";
import { isSameProcess, processStamp } from "./process.ts";

/** What a probe answers: ready, or what it saw instead. */
export type Readiness = true | string;

/** How to run one server. The same spec starts it again on the same ports and data. */
export type ServerSpec = Readonly<{
  name: string;
  command: string;
  args: readonly string[];
  env?: Readonly<Record<string, string>>;
  cwd: string;
  /** stdout and stderr are appended here. */
  logFile: string;
  /** Ports it will listen on; checked before it is started. */
  ports: readonly number[];
  /** Survives this process: its own process group, and nothing here keeps waiting for it. */
  detached?: boolean;
  /** Asked again and again until it answers true. Must not throw for "not yet". */
  ready: () => Promise<Readiness>;
  readyTimeoutMs: number;
  /** How long it may take to end on SIGTERM before it is killed. */
  stopTimeoutMs: number;
}>;

/** A process as it is recorded, to be taken over by a handle of another ferry. `startedAt`: ms since the epoch. */
export type Running = Readonly<{ pid: number; stamp: string; startedAt: number }>;

/** Where a server's process is recorded, as JSON of `Running`. It stays when the process ends unasked. */
export const pidFile = (logFile: string): string => `${logFile}.pid`;

/** A server of the local stack has addresses of its own, and no need of the user's passwords. */
const withoutAddresses = (env: NodeJS.ProcessEnv): NodeJS.ProcessEnv => {
  const hidden = addressVariables();
  return Object.fromEntries(Object.entries(env).filter(([name]) => !hidden.includes(name)));
};

/** The process recorded beside a log; it may have ended since. */
export const recordedProcess = (logFile: string): Running | undefined => {
  try {
    return JSON.parse(readFileSync(pidFile(logFile), "utf8")) as Running;
  } catch {
    return undefined; // never started, or stopped as asked
  }
};

/** How a process ended. Both null where it was not our child and its status is unknown. */
export type Exit = Readonly<{ code: number | null; signal: NodeJS.Signals | null }>;

const readTail = (file: string, lines: number): string => {
  try {
    return readFileSync(file, "utf8").trimEnd().split("\n").slice(-lines).join("\n");
  } catch {
    return ""; // nothing was logged
  }
};

/** The tail of a server's log for an error message, indented, or a note that it is empty. */
export const logExcerpt = (file: string, lines = 15): string => {
  const tail = readTail(file, lines);
  return tail === "" ? `its log ${file} is empty` : `the end of ${file}:\n    ${tail.replaceAll("\n", "\n    ")}`;
};

/**
 * One server process: started, watched, stopped, and started again on the same ports and data. Owned by the process that started
 * it; disposal stops it. Every signal goes to one pid whose start time was recorded, never to a name.
 */
export class Server implements AsyncDisposable {
  readonly spec: ServerSpec;
  #running: Running | undefined;
  #exited: Promise<Exit> | undefined;
  /** True once the process was asked to end, so that its end is no crash. */
  #expected = false;

  /** A handle without a process, which `start()` begins; with `running`, one on a process that was started earlier. */
  constructor(spec: ServerSpec, running?: Running) {
    this.spec = spec;
    this.#running = running;
  }

  get name(): string {
    return this.spec.name;
  }

  get logFile(): string {
    return this.spec.logFile;
  }

  /** The pid of the current, or last, process; undefined before the first start. */
  get pid(): number | undefined {
    return this.#running?.pid;
  }

  /** What to record so that another process can adopt this server. */
  get running(): Running | undefined {
    return this.#running;
  }

  /** Resolves when the current process has ended. */
  get exited(): Promise<Exit> {
    this.#exited ??= this.#watch();
    return this.#exited;
  }

  isRunning(): boolean {
    return this.#running !== undefined && isSameProcess(this.#running.pid, this.#running.stamp);
  }

  logTail(lines = 15): string {
    return readTail(this.logFile, lines);
  }

  /** Sends a signal to the process, if it still is that process. */
  kill(signal: NodeJS.Signals): void {
    const running = this.#running;
    if (running === undefined || !isSameProcess(running.pid, running.stamp)) return;
    if (signal === "SIGTERM" || signal === "SIGKILL" || signal === "SIGINT") this.#expected = true;
    try {
      process.kill(running.pid, signal);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error; // ended in between
    }
  }

  /**
   * Starts it, if it does not run, and waits until it is ready. Harmless when it runs already.
   * @throws FERRY_STACK_PORT, FERRY_STACK_CRASHED with the tail of the log, FERRY_STACK_NOT_READY.
   */
  async start(signal?: AbortSignal): Promise<void> {
    if (!this.isRunning()) await this.#spawn();
    await this.ready(signal);
  }

  /** Waits until it is ready. @throws FERRY_STACK_CRASHED as soon as it ends, FERRY_STACK_NOT_READY. */
  async ready(signal?: AbortSignal): Promise<void> {
    const { name, ready, readyTimeoutMs } = this.spec;
    try {
      await waitFor(
        async () => {
          if (!this.isRunning()) throw await this.#crash();
          const answer = await ready();
          return answer === true ? { done: undefined } : { seen: answer };
        },
        { what: `${name} to be ready`, clock: systemClock, timeoutMs: readyTimeoutMs, everyMs: 50, signal },
      );
    } catch (error) {
      if (!isFerry(error, "FERRY_TIMEOUT")) throw error;
      throw new FerryError("FERRY_STACK_NOT_READY", `${error.detail}; ${logExcerpt(this.logFile)}`, { cause: error });
    }
  }

  /** Stops it: SIGTERM, and SIGKILL when it takes longer than its limit. Resolves when it has ended. */
  async stop(): Promise<void> {
    if (!this.isRunning()) {
      rmSync(pidFile(this.logFile), { force: true });
      return;
    }
    this.kill("SIGCONT"); // a stopped process would not see the next signal
    this.kill("SIGTERM");
    const killer = setTimeout(() => this.kill("SIGKILL"), this.spec.stopTimeoutMs);
    await this.exited;
    clearTimeout(killer);
    rmSync(pidFile(this.logFile), { force: true });
  }

  /** Kills it, as a crash would. Resolves when it has ended. */
  async crash(): Promise<void> {
    this.kill("SIGKILL");
    await this.exited;
  }

  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #spawn(): Promise<void> {
    const { spec } = this;
    for (const port of spec.ports) {
      if (await isPortFree(port)) continue;
      throw new FerryError("FERRY_STACK_PORT", `port ${port} of ${spec.name} is taken by another program`);
    }
    await makeFolder(dirname(spec.logFile));
    await makeFolder(spec.cwd);
    const log = openSync(spec.logFile, "a");
    try {
      const child = spawn(spec.command, [...spec.args], {
        cwd: spec.cwd,
        env: { ...withoutAddresses(process.env), ...spec.env },
        stdio: ["ignore", log, log],
        detached: spec.detached ?? false,
      });
      this.#expected = false;
      this.#exited = this.#exitOf(child);
      const stamp = child.pid === undefined ? undefined : processStamp(child.pid);
      if (child.pid === undefined || stamp === undefined) throw await this.#crash();
      this.#running = { pid: child.pid, stamp, startedAt: systemClock.now() };
      // Beside the log, so that a process left by a killed parent can be found and distinguished from a reused pid.
      writeFileSync(pidFile(spec.logFile), JSON.stringify(this.#running));
      if (spec.detached) child.unref();
    } finally {
      closeSync(log);
    }
  }

  #exitOf(child: ChildProcess): Promise<Exit> {
    return new Promise((resolve) => {
      child.once("exit", (code, signal) => resolve({ code, signal }));
      child.once("error", () => resolve({ code: 127, signal: null })); // the program cannot be started
    });
  }

  /** The end of a process that is not our child can only be seen by looking. */
  #watch(): Promise<Exit> {
    return waitFor(async () => (this.isRunning() ? { seen: "running" } : { done: { code: null, signal: null } }), {
      what: `${this.name} to end`,
      clock: systemClock,
      timeoutMs: Number.POSITIVE_INFINITY,
      everyMs: 50,
    });
  }

  async #crash(): Promise<FerryError> {
    const { code, signal } = await this.exited;
    const how = signal ?? (code === null ? "it is gone" : `exit status ${code}`);
    return new FerryError(
      "FERRY_STACK_CRASHED",
      `${this.name} ended${this.#expected ? " on request" : ""} (${how}); ${logExcerpt(this.logFile)}`,
      { facts: { server: this.name, code, signal } },
    );
  }
}

/** Starts a server; one that does not become ready is stopped before its error goes up. */
export const started = async <T extends { start(): Promise<void>; stop(): Promise<void> }>(server: T): Promise<T> => {
  try {
    await server.start();
  } catch (error) {
    await server.stop();
    throw error;
  }
  return server;
};
