import { join } from "node:path";
import { type Command, InvalidArgumentError } from "commander";
import { stateFolder } from "#base/config/settings.ts";
import { isFerry } from "#base/errors/ferryError.ts";
import { duration } from "#base/flow/figures.ts";
import { goOn } from "#surface/demo/goOn.ts";
import { runDemo, type StepResult } from "#surface/demo/runDemo.ts";
import { print, printAside, printJson } from "#surface/terminal/output.ts";
import { withSignals } from "#surface/terminal/signals.ts";
import { stackDown, stackReset } from "#tools/stack/localStack.ts";

type DemoFlags = Readonly<{ keep?: boolean; json?: boolean; workers: number; withCognito?: boolean }>;

const workersOf = (text: string): number => {
  if (/^[1-9]\d?$/.test(text)) return Number(text);
  throw new InvalidArgumentError("a number from 1 to 99");
};

/** `ferry demo`: the run book on real servers of its own, checked step by step. */
export const registerDemo = (command: Command): void => {
  command
    .option("--keep", "leave everything running, and print how to continue by hand")
    .option("--workers <n>", "number of workers", workersOf, 2)
    .option("--with-cognito", "send the users to a Cognito user pool as well (an emulator), without age and sex")
    .option("--json", "print the steps as one JSON value")
    .action((flags: DemoFlags) => withSignals(({ soft }) => demo(flags, soft)));
};

const demo = async (flags: DemoFlags, signal: AbortSignal): Promise<void> => {
  const home = join(stateFolder(), "demo");
  const say = flags.json ? printAside : print;
  const begun = performance.now();
  try {
    const results = await runDemo({
      ...{ home, workers: flags.workers, withCognito: flags.withCognito === true },
      ...{ entry: process.argv[1] ?? "", signal, print: say },
    });
    await finish(results, performance.now() - begun, home, flags, say);
  } catch (error) {
    if (flags.keep) say(`\n${goOn(home, { failed: true })}\n`);
    else await leaveLogsOnly(home, isFerry(error, "FERRY_STOPPED") && signal.aborted, say);
    throw error;
  }
};

/** The logs stay, the servers do not. A server that cannot be stopped must not hide the failure itself. */
const leaveLogsOnly = async (home: string, stopped: boolean, say: (line: string) => void): Promise<void> => {
  try {
    await stackDown(home, () => undefined);
    if (stopped) say("\nStopped; the demo's servers are stopped, too.");
  } catch (error) {
    say(`\nThe demo's servers could not be stopped: ${error instanceof Error ? error.message : String(error)}`);
  }
};

const finish = async (
  results: readonly StepResult[],
  ms: number,
  home: string,
  { keep, json }: DemoFlags,
  say: (line: string) => void,
): Promise<void> => {
  say(`\nAll ${results.length} steps held, in ${duration(ms)}.`);
  if (keep) say(`\n${goOn(home, { failed: false })}`);
  else await stackReset(home, () => undefined);
  if (json) printJson({ ok: true, ms: Math.round(ms), kept: keep === true, steps: results }, 2);
};
