import { spawn, spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";

/** `/proc/PID/stat` without pid and name (the name may hold spaces and parentheses): state first, start time 20th. */
const procStat = (pid: number): readonly string[] | undefined => {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    return text.slice(text.lastIndexOf(")") + 2).split(" ");
  } catch {
    return undefined;
  }
};

let bootId: string | undefined;
const boot = (): string => {
  bootId ??= existsSync("/proc/sys/kernel/random/boot_id")
    ? readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim().slice(0, 8)
    : "";
  return bootId;
};

type ProcessState = Readonly<{ state: string; started: string }>;

/** State (its first letter, as `ps` shows it) and start of a process; undefined where there is none. */
const look = (pid: number): ProcessState | undefined => {
  if (existsSync("/proc/self/stat")) {
    const stat = procStat(pid);
    return stat === undefined ? undefined : { state: stat[0] ?? "", started: `${boot()}:${stat[19]}` };
  }
  const ps = spawnSync("ps", ["-o", "stat=,lstart=", "-p", String(pid)], { encoding: "utf8" });
  const [state = "", ...started] = ps.stdout.trim().split(/\s+/);
  return state === "" ? undefined : { state: state.slice(0, 1), started: started.join("-") };
};

/**
 * Identifies a running process beyond its pid: when it was started, and in which boot. `undefined` when no such process
 * runs (a zombie does not run). Two processes that had the same pid one after the other have different stamps.
 */
export const processStamp = (pid: number): string | undefined => {
  const seen = look(pid);
  return seen === undefined || seen.state === "Z" || seen.state === "X" ? undefined : seen.started;
};

/** Does this process stand still after a SIGSTOP? */
export const isStopped = (pid: number): boolean => look(pid)?.state === "T";

/** Is this still the process that was recorded? */
export const isSameProcess = (pid: number, stamp: string): boolean => processStamp(pid) === stamp;

/** What a short-lived program said. `code` is null when it could not be started or was killed by the time limit. */
export type RunResult = Readonly<{ code: number | null; stdout: string; stderr: string; failure?: string }>;

/** Runs a program to its end, collecting what it prints. Never throws: a failure is in the result. */
export const runProgram = (
  command: string,
  args: readonly string[],
  options: Readonly<{ cwd?: string; env?: NodeJS.ProcessEnv; timeoutMs: number }>,
): Promise<RunResult> =>
  new Promise((resolve) => {
    const child = spawn(command, args, {
      stdio: ["ignore", "pipe", "pipe"],
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      ...(options.env === undefined ? {} : { env: options.env }),
    });
    let stdout = "";
    let stderr = "";
    // Not spawn's own time limit: its timer outlives a program that could not be started, and keeps this process alive.
    const timer = setTimeout(() => child.kill("SIGKILL"), options.timeoutMs);
    child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
      stdout += chunk;
    });
    child.stderr.setEncoding("utf8").on("data", (chunk: string) => {
      stderr += chunk;
    });
    const end = (result: RunResult): void => {
      clearTimeout(timer);
      resolve(result);
    };
    child.once("error", (error: NodeJS.ErrnoException) =>
      end({ code: null, stdout, stderr, failure: error.code === "ENOENT" ? "not found" : error.message }),
    );
    child.once("close", (code, signal) =>
      end({ code, stdout, stderr, ...(signal === null ? {} : { failure: `ended by ${signal}` }) }),
    );
  });
