import { spawn } from "node:child_process";
import { ENVIRONMENT } from "#base/config/environment.ts";
import { addressVariables, SETTINGS } from "#base/config/settings.ts";
import { FerryError } from "#base/errors/ferryError.ts";
import { compileCache } from "#tools/stack/stackWorker.ts";

export type Said = Readonly<{ code: number | null; output: string }>;

/** The environment without settings of the user's own: a demo must reach nothing but its own servers. */
export const demoEnvironment = (home: string): NodeJS.ProcessEnv => {
  const env = { ...process.env, [ENVIRONMENT.home.env]: home, NODE_COMPILE_CACHE: compileCache() };
  const settings = Object.values(SETTINGS.properties) as unknown as { env: string }[];
  for (const name of [...settings.map(({ env }) => env), ...addressVariables()])
    delete (env as NodeJS.ProcessEnv)[name];
  return env;
};

/**
 * Runs `ferry ARGS` as a user would, in a process of its own, with the state folder `home`; each line it prints is reported
 * as it comes. @throws FERRY_STOPPED when the signal aborts; the process is ended first.
 */
export const runFerry = (
  args: readonly string[],
  options: Readonly<{ entry: string; home: string; signal: AbortSignal; onLine: (line: string) => void }>,
): Promise<Said> =>
  new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", options.entry, ...args], {
      env: demoEnvironment(options.home),
      stdio: ["ignore", "pipe", "pipe"],
    });
    const stop = (): void => void child.kill("SIGTERM");
    options.signal.addEventListener("abort", stop, { once: true });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) {
      let rest = "";
      stream.setEncoding("utf8").on("data", (chunk: string) => {
        output += chunk;
        const lines = (rest + chunk).split("\n");
        rest = lines.pop() ?? "";
        for (const line of lines) options.onLine(line);
      });
    }
    child.once("error", reject);
    child.once("close", (code) => {
      options.signal.removeEventListener("abort", stop);
      if (options.signal.aborted) reject(new FerryError("FERRY_STOPPED", `ferry ${args[0]} was stopped`));
      else resolve({ code, output });
    });
  });
