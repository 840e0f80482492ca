import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { tempFolder } from "./folders.ts";
import { ferryArgs, ferryEnv } from "./leastPrivileged.ts";
import { tail, within } from "./timeLimit.ts";

let home: string | undefined;

/** Not there until a process makes it: a spool, where no other folder is named. */
const emptyHome = (): string => {
  home ??= join(tempFolder().path, "home");
  return home;
};

/** Nothing of a developer's own stack or environment, but for where compiled modules are kept. */
export const bareEnvironment = (env: NodeJS.ProcessEnv = {}): Record<string, string> => ({
  PATH: process.env["PATH"] ?? "",
  NODE_COMPILE_CACHE: process.env["NODE_COMPILE_CACHE"] ?? "",
  FERRY_HOME: emptyHome(),
  ...ferryEnv(env as Record<string, string>), // none is set to undefined
});

/** How it ended (null: by a signal), and everything it said. */
export type FerryRun = Readonly<{ status: number | null; out: string; err: string }>;

export const NODE_FLAGS = [
  "--disable-warning=ExperimentalWarning",
  join(process.cwd(), "src", "surface", "cli", "main.ts"),
];

/**
 * Runs `ferry ARGS` to its end, with settings from the arguments and `env` alone: nothing of a developer's own stack.
 * `stopWhen` ends it once what it has printed, or logged, matches: with SIGINT, as Ctrl-C does, or with `signal`.
 * `readUntil`: its stdout is closed then, as `head` does.
 * @throws FERRY_TIMEOUT with the end of what it said, where it does not end within `timeoutMs`; it is killed then
 */
export const ferry = async (
  args: readonly string[],
  options: Readonly<{
    env?: NodeJS.ProcessEnv;
    stopWhen?: RegExp;
    signal?: NodeJS.Signals;
    readUntil?: RegExp;
    timeoutMs?: number;
  }> = {},
): Promise<FerryRun> => {
  const child = spawn(process.execPath, [...NODE_FLAGS, ...ferryArgs(args)], {
    env: bareEnvironment(options.env),
    stdio: ["ignore", "pipe", "pipe"],
  });
  const said = { out: "", err: "" };
  for (const [stream, name] of [
    [child.stdout, "out"],
    [child.stderr, "err"],
  ] as const)
    stream.setEncoding("utf8").on("data", (text: string) => {
      said[name] += text;
      if (name === "out" && options.readUntil?.test(said.out)) stream.destroy();
      if (options.stopWhen?.test(said[name])) child.kill(options.signal ?? "SIGINT");
    });
  const [status] = await within(once(child, "close") as Promise<[number | null]>, {
    what: `ferry ${args.join(" ")} to end`,
    seen: () => tail(`${said.out}\n${said.err}`),
    giveUp: () => child.kill("SIGKILL"),
    timeoutMs: options.timeoutMs,
  });
  return { ...said, status };
};
