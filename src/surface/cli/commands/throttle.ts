import type { Command } from "commander";
import { limitsIn } from "#process/report/status.ts";
import { limitCopy } from "#process/steer/steerCapture.ts";
import { RunControl } from "#source/capture/captureLifecycle.ts";
import { print, printJson } from "#surface/terminal/output.ts";
import { cliAuthor } from "../cliAuthor.ts";
import { type Flags, wholeNumber, withConnections, withState } from "../connections.ts";

type ThrottleFlags = Flags & Readonly<{ maxSourceLoad?: string; documentsPerSecond?: string }>;

/** `ferry throttle`: how fast a run may copy from now on. */
export const registerThrottle = (command: Command): void => {
  withConnections(command, ["target", "state"])
    .option(
      "--max-source-load <ms>",
      "slow the copy down while one small read of the source takes longer than this, ms; 0: no limit (default: as the run was started)",
    )
    .option(
      "--documents-per-second <count>",
      "copy no more documents in a second than this; 0: no limit (default: no limit)",
    )
    .action(throttle);
};

const limit = (flag: string, text: string | undefined): number | undefined =>
  text === undefined ? undefined : wholeNumber(flag, text, { min: 0 });

const throttle = async (flags: ThrottleFlags): Promise<void> => {
  const limits = {
    maxSourceLoadMs: limit("--max-source-load", flags.maxSourceLoad),
    documentsPerSecond: limit("--documents-per-second", flags.documentsPerSecond),
  };
  await withState(flags, "ferry throttle", async (state) => {
    await limitCopy(limits, { state, by: cliAuthor() });
    const found = limitsIn((await new RunControl(state).seen()).record);
    if (flags.json === true) return printJson(found);
    const { maxSourceLoadMs: load, documentsPerSecond: rate } = found;
    const loadText =
      load === null ? "the source's load as the run was started" : `a small read of the source up to ${load} ms`;
    print(
      `copying with ${load === 0 ? "no limit of the source's load" : loadText}, ${rate === null || rate === 0 ? "any number of" : `up to ${rate}`} documents a second`,
    );
  });
};
