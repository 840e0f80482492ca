import type { Report } from "#tools/stack/artefacts.ts";
import { type RunResult, runProgram } from "#tools/stack/process.ts";

const LONGEST_MS = 10 * 60_000;

export type CommandOptions = Readonly<{ cwd?: string; env?: Readonly<Record<string, string>>; timeoutMs?: number }>;

/** These tests cannot be run here; the sentence says why, and what to do. */
export class Unavailable extends Error {}

/** Runs a program to its end, whatever comes of it. */
export const attempt = (
  command: string,
  args: readonly string[],
  { cwd, env, timeoutMs = LONGEST_MS }: CommandOptions = {},
): Promise<RunResult> =>
  runProgram(command, args, {
    timeoutMs,
    ...(cwd === undefined ? {} : { cwd }),
    env: { ...process.env, ...env },
  });

/** Runs a program that must succeed. @returns what it printed. @throws with the end of what it said. */
export const must = async (command: string, args: readonly string[], options?: CommandOptions): Promise<string> => {
  const { code, stdout, stderr, failure } = await attempt(command, args, options);
  if (code === 0) return stdout.trim();
  const said = `${stdout}\n${stderr}`.trim().split("\n").slice(-25).join("\n    ");
  throw new Error(`${command} ${args.join(" ")}: ${failure ?? `exit status ${code}`}\n    ${said}`);
};

export const docker = (...args: readonly string[]): Promise<string> => must("docker", args);

/** Debian's packages, as root. @throws Unavailable */
export const aptInstall = async (packages: readonly string[], report: Report): Promise<void> => {
  report(`apt-get installs ${packages.join(", ")}`);
  const env = { DEBIAN_FRONTEND: "noninteractive" };
  try {
    await must("apt-get", ["update", "-qq"], { env });
    await must("apt-get", ["install", "-y", "-qq", "--no-install-recommends", ...packages], { env });
  } catch (error) {
    throw new Unavailable(
      `apt-get cannot install ${packages.join(", ")}: ${error instanceof Error ? error.message : error}`,
    );
  }
};
