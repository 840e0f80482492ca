import { join } from "node:path";
import { cacheFolder } from "./disk.ts";
import { mongoCommand } from "./mongoCommand.ts";
import { type Readiness, recordedProcess, type ServerSpec } from "./server.ts";

/** Where Node keeps what it compiled, so that a process of ours starts in half the time. */
export const compileCache = (): string => join(cacheFolder(), "node");

export type WorkerSpecOptions = Readonly<{
  dir: string;
  name: string;
  /** The script that is `ferry` itself, given `worker` as its first argument. */
  entry: string;
  /** Settings by environment variable, as `#config/settings.ts` names them. */
  env: Readonly<Record<string, string>>;
  /** Ports of the target's members, where workers report themselves. */
  targetPorts: readonly number[];
  /** ferry's database on the target. */
  stateDb: string;
}>;

/**
 * Has the process that `logFile` belongs to reported itself on the target since it was started? A worker listens on no
 * port; what it writes into `workers` is its sign of life, and it comes after everything it needs was reached.
 */
export const workerReady = async (
  logFile: string,
  targetPorts: readonly number[],
  stateDb: string,
): Promise<Readiness> => {
  const running = recordedProcess(logFile);
  if (running === undefined) return "it was not started";
  const query = { pid: running.pid, seenAt: { $gte: new Date(running.startedAt) } };
  let seen = "no member of the target answers";
  for (const port of targetPorts) {
    try {
      const reply = await mongoCommand(port, { count: "workers", query, $db: stateDb });
      if (reply["ok"] === 1 && Number(reply["n"]) > 0) return true;
      seen = reply["ok"] === 1 ? "it has not reported itself yet" : String(reply["errmsg"]);
    } catch (error) {
      seen = error instanceof Error ? error.message : String(error);
    }
  }
  return seen;
};

/** One `ferry worker` as a server of the local stack. */
export const workerSpec = (options: WorkerSpecOptions): ServerSpec => {
  const logFile = join(options.dir, options.name, "worker.log");
  return {
    name: options.name,
    command: process.execPath,
    args: ["--disable-warning=ExperimentalWarning", options.entry, "worker"],
    env: { ...options.env, FERRY_STATE_DB: options.stateDb, NODE_COMPILE_CACHE: compileCache() },
    cwd: join(options.dir, options.name),
    logFile,
    ports: [],
    detached: true,
    ready: () => workerReady(logFile, options.targetPorts, options.stateDb),
    readyTimeoutMs: 120_000,
    stopTimeoutMs: 30_000,
  };
};
