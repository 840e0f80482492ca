import type { Command } from "commander";
import { acceptedCodes } from "#base/config/acceptedCodes.ts";
import { readConfig } from "#base/config/readConfig.ts";
import { resolveSettings } from "#base/config/settings.ts";
import { CATALOGUE } from "#base/errors/catalogue.ts";
import { systemClock } from "#base/flow/clock.ts";
import type { StateDb } from "#io/state/stateDb.ts";
import { runFacts } from "#process/report/runFacts.ts";
import { pauseCapture, resumeCapture, type Steered } from "#process/steer/steerCapture.ts";
import { finalizeRun } from "#process/switch/finalizeRun.ts";
import type { SeenRun } from "#source/capture/captureLifecycle.ts";
import { commandOf, RunControl, type RunState, stateOf } from "#source/capture/captureLifecycle.ts";
import type { StoredCapture } from "#source/capture/captureStore.ts";
import { RunCapture } from "#source/capture/runCapture.ts";
import type { Capture } from "#source/stream/capture.ts";
import { secondsOf, timeText, tokenTime } from "#source/stream/resumeToken.ts";
import { requireComplete } from "#structure/operations/structureOperations.ts";
import { plainLogger, print, printJson } from "#surface/terminal/output.ts";
import { withSignals } from "#surface/terminal/signals.ts";
import { cliAuthor } from "../cliAuthor.ts";
import { type Flags, withConnections, withState, withTarget } from "../connections.ts";
import { steerConnector } from "../steerConnector.ts";

const CONNECTOR = ["[connector]", "a connector, by its name in Kafka Connect, instead of ferry's own run"] as const;

/** `ferry pause`: what is wanted of a `ferry run` or `ferry capture` is written where it looks; so do the two below. */
export const registerPause = (command: Command): void => {
  withConnections(command.argument(...CONNECTOR), ["target", "connect", "state"]).action(
    (name: string | undefined, flags: Flags) => (name === undefined ? pause(flags) : pauseConnector(name, flags)),
  );
};

/** `ferry resume`. */
export const registerResume = (command: Command): void => {
  withConnections(command.argument(...CONNECTOR), ["target", "connect", "state"]).action(
    (name: string | undefined, flags: Flags) => (name === undefined ? resume(flags) : resumeConnector(name, flags)),
  );
};

/** `ferry finalize`. */
export const registerFinalize = (command: Command): void => {
  withConnections(command, ["source", "target", "kafka", "state"])
    .option(
      "--allow-writes",
      "end although services still write to the source; prints the time up to which the target has everything",
    )
    .option("--accept <codes>", "error codes to accept, comma-separated: what they stand for stays missing")
    .option(
      "--config <file>",
      "with Kafka, or without --target: routes and their rules (default: ferry.yaml here, if it exists)",
    )
    .action(finalize);
};

/** Why it does not run, if that is known; the exit status is then that of its last error. */
const notRunning = ({ record: { ended } }: SeenRun, next: string): string => {
  if (ended == null) return `not running; ${next}`;
  const { code, detail, at } = ended;
  return `not running: it ended at ${at.toISOString()} with ${code}: ${detail}\n  ${CATALOGUE[code].hint}\n${next}`;
};

/** The exit status of a command that found a run which has ended with an error. */
const exitAs = ({ record: { ended }, owned }: SeenRun): void => {
  if (!owned && ended != null) process.exitCode = CATALOGUE[ended.code].exit;
};

/** Only steered: nothing is drained. */
const runOf = (control: RunControl): Capture =>
  new RunCapture({ control, source: undefined, clock: systemClock, logger: plainLogger });

const steered = async (control: RunControl, state: StateDb): Promise<Steered> => {
  const { record } = await control.seen();
  return { capture: runOf(control), now: stateOf(record), state, by: cliAuthor() };
};

const pause = (flags: Flags): Promise<void> =>
  withState(flags, "ferry pause", (state) =>
    withSignals(async ({ soft }) => {
      const control = new RunControl(state);
      await pauseCapture(await steered(control, state), soft);
      const seen = await control.seen();
      const { record } = seen;
      exitAs(seen);
      if (flags.json === true) printJson(runFacts(seen));
      else if (!seen.owned) print(notRunning(seen, `it stays paused when ${commandOf(record)} restarts`));
      else if (record.mode === "direct") print("paused: no writes to the target; the position is kept");
      else print("paused: no capture, and the position is kept; workers apply what Kafka has");
    }),
  );

const resume = (flags: Flags): Promise<void> =>
  withState(flags, "ferry resume", async (state) => {
    const control = new RunControl(state);
    await resumeCapture(await steered(control, state));
    const seen = await control.seen();
    exitAs(seen);
    if (flags.json === true) printJson(runFacts(seen));
    else if (seen.owned) print("resumed from its position");
    else print(notRunning(seen, `start ${commandOf(seen.record)} again as before`));
  });

const pauseConnector = (name: string, flags: Flags): Promise<void> =>
  withSignals(async ({ soft: signal }) => {
    await steerConnector(name, flags, { wanted: "paused", signal });
    if (flags.json === true) printJson({ connector: name, state: "paused" });
    else print("paused: no capture, and the position is kept; workers apply what Kafka has");
  });

const resumeConnector = (name: string, flags: Flags): Promise<void> =>
  withSignals(async ({ soft: signal }) => {
    await steerConnector(name, flags, { wanted: "running", signal });
    if (flags.json === true) printJson({ connector: name, state: "running" });
    else print("resumed from its position");
  });

const progress = ({ record, owned }: SeenRun, state: RunState): string => {
  if (!owned) return `not running: start ${commandOf(record)} again as before, and it resumes this`;
  if (state === "finalizing") return "drained; restoring deferred constraints";
  if (record.phase !== "stream")
    return "draining: first the rest of the copy (`ferry status` shows its progress), then the changes since its start";
  const at = new Date(secondsOf(tokenTime(record.token)) * 1000).toISOString();
  return `draining: the position is ${at}`;
};

type FinalizeFlags = Flags & Readonly<{ config?: string; allowWrites?: boolean; accept?: string }>;

/** Error codes that are accepted. */
const acceptedBy = ({ allowWrites, accept }: FinalizeFlags): readonly string[] => [
  ...acceptedCodes(accept),
  ...(allowWrites === true ? ["FERRY_SOURCE_WRITES"] : []),
];

/** What came of it. @throws FERRY_STRUCTURE_INCOMPLETE */
const tellEnd = ({ lifecycle = {}, token }: StoredCapture, asJson: boolean): void => {
  const { finalizedAt, unrestored = [] } = lifecycle;
  const appliedTo = timeText(tokenTime(token));
  if (asJson) printJson({ state: "finalized", finalizedAt, appliedTo, unrestored });
  requireComplete(unrestored);
  if (asJson) return;
  print("finalized: the target has the source's structure, and the run has ended");
  print(`the target has everything that the source had up to ${appliedTo}, by the source's clock`);
};

const finalize = (flags: FinalizeFlags): Promise<void> => {
  const accepted = acceptedBy(flags); // said before anything is connected
  const isQuiet = flags.json === true;
  return withTarget(flags, "ferry finalize", (target, state) =>
    withSignals(async ({ soft: signal }) => {
      const { source } = resolveSettings(flags, ["source"]);
      const { routes } = await readConfig(flags.config);
      const { record, writes } = await finalizeRun({
        ...{ target, state, routes, accepted, by: cliAuthor(), clock: systemClock, logger: plainLogger, signal },
        addresses: { source, kafka: () => resolveSettings(flags, ["kafka"]) },
        say: (seen, now) => {
          if (!isQuiet) print(progress(seen, now));
        },
        tell: (sentence) => {
          if (!isQuiet) print(sentence);
        },
      });
      tellEnd(record, isQuiet);
      if (writes !== undefined) throw writes;
    }),
  );
};
