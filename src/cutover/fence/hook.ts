import { spawn } from "node:child_process";
import { once } from "node:events";
import { FOR_COMMANDS } from "#base/config/environment.ts";
import { FerryError, isFerry } from "#base/errors/ferryError.ts";

/** What a command of the operator is run for. */
export type HookStep = "fence" | "lift" | "release";

export type HookRun = Readonly<{
  step: HookStep;
  /** Of the source; empty: everything that is carried. */
  namespaces: readonly string[];
  timeoutMs: number;
  signal?: AbortSignal;
}>;

/** Of what it said, in a sentence. */
const SAID = 300;

/** It and everything that it has started. */
const end = (pid: number): void => {
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // it has ended in the meantime
  }
};

/** The limit of the pause, or the operator. */
const whyKilled = (reason: unknown): string =>
  isFerry(reason) && reason.code !== "FERRY_CUTOVER_PAUSE"
    ? `was killed: ${reason.detail}`
    : "was killed when the pause came to its limit";

/**
 * Runs a command of the operator in a shell. Exit status 0 means done; anything else, and a command that is ended because it took
 * too long, that nothing was changed.
 * @throws FERRY_CUTOVER_HOOK with the end of what it said
 */
export const runHook = async (command: string, { step, namespaces, timeoutMs, signal }: HookRun): Promise<void> => {
  const given = { [FOR_COMMANDS.step.env]: step, [FOR_COMMANDS.namespaces.env]: namespaces.join(",") };
  const env = { ...process.env, ...given };
  const child = spawn(command, { shell: true, detached: true, env, stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (text: string) => {
      said = `${said}${text}`.slice(-SAID);
    });
  const closed = once(child, "close") as Promise<[number | null]>;
  let why: string | undefined;
  const stop = (reason: string) => (): void => {
    why = reason;
    if (child.pid !== undefined) end(child.pid);
  };
  const timer = setTimeout(stop(`did not end within ${Math.round(timeoutMs)} ms and was killed`), timeoutMs);
  const onAbort = (): void => stop(whyKilled(signal?.reason))();
  signal?.addEventListener("abort", onAbort, { once: true });
  if (signal?.aborted) onAbort();
  try {
    const [status] = await closed;
    if (status === 0) return; // done, however late
    why ??= status === null ? "was killed" : `ended with status ${status}`;
  } catch (error) {
    why = error instanceof Error ? error.message : String(error);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", onAbort);
  }
  const last = said.trim().split("\n").at(-1) ?? "";
  throw new FerryError("FERRY_CUTOVER_HOOK", `the command for \`${step}\` ${why}${last === "" ? "" : `: ${last}`}`);
};
