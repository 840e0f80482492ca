import { spawn } from "node:child_process";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { tempFolder } from "./folders.ts";

let home: string | undefined;

/** Not there until a process makes it: a spool, where no other folder is named. */
const emptyHome = (): string => {
  home ??= join(tempFolder().path, "home");
  return home;
};

/** Nothing of a developer's own stack or environment, but for where compiled modules are kept. */
export const bareEnvironment = (env: Readonly<Record<string, string>> = {}): Record<string, string> => ({
  PATH: process.env["PATH"] ?? "",
  NODE_COMPILE_CACHE: process.env["NODE_COMPILE_CACHE"] ?? "",
  FERRY_HOME: emptyHome(),
  ...env,
});

export type FerryRun = Readonly<{ status: number | null; out: string; err: string }>;

/**
 * Runs `ferry ARGS` to its end, with settings from the arguments and `env` alone: nothing of a developer's own stack.
 * `stopWhen` ends it once what it has printed matches: with SIGINT, as Ctrl-C does, or with `signal`.
 */
export const ferry = async (
  args: readonly string[],
  options: Readonly<{ env?: Record<string, string>; stopWhen?: RegExp; signal?: NodeJS.Signals }> = {},
): Promise<FerryRun> => {
  const child = spawn(
    process.execPath,
    ["--disable-warning=ExperimentalWarning", join("src", "cli", "main.ts"), ...args],
    {
      env: bareEnvironment(options.env),
      stdio: ["ignore", "pipe", "pipe"],
    },
  );
  let printed = "";
  child.stdout.on("data", (bytes: Buffer) => {
    printed += bytes.toString();
    if (options.stopWhen?.test(printed)) child.kill(options.signal ?? "SIGINT");
  });
  const ended = new Promise<number | null>((resolve) => child.on("close", resolve));
  const [out, err, status] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  return { status, out, err };
};
