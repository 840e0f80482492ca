import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { isFerry } from "#errors/ferryError.ts";
import { systemClock } from "#flow/clock.ts";
import { waitFor } from "#flow/retry.ts";
import { Server } from "#stack/server.ts";
import { bareEnvironment } from "./ferry.ts";
import { removeFolder, tempFolder } from "./folders.ts";

export type WorkerStart = Readonly<{
  source?: string;
  target: string;
  kafka: string;
  /** More flags, e.g. `["--on-error", "stop"]`. */
  args?: readonly string[];
  env?: Readonly<Record<string, string>>;
  leaseMs?: number;
}>;

const MAIN = join("src", "cli", "main.ts");

const NODE_FLAGS = ["--disable-warning=ExperimentalWarning", MAIN];

const flags = ({ source, target, kafka, leaseMs = 1500, args = [] }: WorkerStart): string[] => [
  ...["worker", "--target", target, "--kafka", kafka],
  ...(source === undefined ? [] : ["--source", source]),
  ...["--lease-ms", String(leaseMs), ...args],
];

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
      args: [...NODE_FLAGS, ...args],
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

  /** One that came to its fault point before it was looked at has started, too. */
  override async start(signal?: AbortSignal): Promise<void> {
    try {
      await super.start(signal);
    } catch (error) {
      if (!isFerry(error, "FERRY_STACK_CRASHED") || !this.log().includes("fault point")) throw error;
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

  override async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    removeFolder(this.#folder);
  }
}

/** `ferry worker` as a child process. */
export class WorkerProcess extends FerryProcess {
  constructor(options: WorkerStart) {
    super("worker", flags(options), options.env ?? {}, "target is a ");
  }
}

/** A worker that has connected. The caller disposes of it. */
export const startWorker = async (options: WorkerStart): Promise<WorkerProcess> => {
  const worker = new WorkerProcess(options);
  await worker.start();
  return worker;
};

export type Ended = Readonly<{ code: number | null; signal: NodeJS.Signals | null; stderr: string }>;

/** Runs a worker that is expected to end by itself. Killed after `timeoutMs`. */
export const runWorker = async (options: WorkerStart, timeoutMs = 60_000): Promise<Ended> => {
  const child = spawn(process.execPath, [...NODE_FLAGS, ...flags(options)], {
    env: { ...process.env, ...bareEnvironment(options.env) },
    stdio: ["ignore", "ignore", "pipe"],
    timeout: timeoutMs,
    killSignal: "SIGKILL",
  });
  let stderr = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  const [code, signal] = (await once(child, "close")) as [number | null, NodeJS.Signals | null];
  return { code, signal, stderr };
};
