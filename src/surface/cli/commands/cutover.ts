import { hostname } from "node:os";
import { type Command, Option } from "commander";
import { acceptedCodes } from "#base/config/acceptedCodes.ts";
import { readConfig } from "#base/config/readConfig.ts";
import { resolveSettings } from "#base/config/settings.ts";
import { FerryError, isFerry } from "#base/errors/ferryError.ts";
import { systemClock } from "#base/flow/clock.ts";
import { listed } from "#base/flow/namespaceFilter.ts";
import { parseFence } from "#cutover/fence/fence.ts";
import { WAY_BACK_MS } from "#cutover/machine/machine.ts";
import { type CutoverRecord, isSameScope } from "#cutover/machine/record.ts";
import type { RehearsalRecord, Rehearsed } from "#cutover/machine/rehearsal.ts";
import { cutoverFacts, pauseOf, pauseText, requireOver } from "#cutover/machine/report.ts";
import { readinessFacts } from "#process/switch/readinessFacts.ts";
import { Switchover, type SwitchReadiness } from "#process/switch/switchover.ts";
import { type SwitchDeps, wireSwitch } from "#process/switch/switchWiring.ts";
import { connectAddress } from "#source/connect/connectAddress.ts";
import type { ConnectRest } from "#source/connect/connectRest.ts";
import { requireComplete } from "#structure/operations/structureOperations.ts";
import { CutoverPicture } from "#surface/live/cutoverPicture.ts";
import { NO_VIEW, openLiveView } from "#surface/live/liveView.ts";
import { plainLogger, print, printAside, printJson } from "#surface/terminal/output.ts";
import { withSignals } from "#surface/terminal/signals.ts";
import { cliAuthor } from "../cliAuthor.ts";
import {
  CONNECT_PATIENCE_MS,
  type Flags,
  patientConnect,
  withConnections,
  withPlaces,
  withTarget,
} from "../connections.ts";
import { otherWay } from "../otherWay.ts";
import { milliseconds } from "../timeFlag.ts";
import { SECOND_OF, SecondProcess, WATCHING } from "../watchman.ts";

type CutoverFlags = Flags &
  Readonly<{
    config?: string;
    namespace?: string;
    fence?: string;
    onRelease?: string;
    maxPause: string;
    maxLag: string;
    accept?: string;
    verifyRest?: boolean;
    ready?: boolean;
    rehearse?: boolean;
    abort?: boolean;
    allowBoth?: boolean;
    secondOf?: string;
    /** Services go back. */
    isBack?: boolean;
  }>;

/** `ferry cutover`: services change over to the target, with a pause that is measured. */
export const registerCutover = (command: Command): void => {
  withSwitch(command).action((flags: CutoverFlags) => cutover(flags));
};

/** `ferry rollback`: and back. */
export const registerRollback = (command: Command): void => {
  withSwitch(command).action((flags: CutoverFlags) => cutover({ ...otherWay(flags), isBack: true }));
};

const withSwitch = (command: Command): Command =>
  withConnections(command, ["source", "target", "kafka", "connect", "state"])
    .option(
      "--namespace <names>",
      "switch only these, comma-separated; the others keep streaming (default: everything)",
    )
    .option(
      "--fence <kind>",
      "what stops writers: user-write-block, validator, hook:COMMAND, or none (default: user-write-block; with --namespace validator)",
    )
    .option("--on-release <command>", "command that sends services over; exit status 0: they were sent")
    .option("--max-pause <time>", "lift the fence if the pause would be longer", "5s")
    .option("--max-lag <time>", "start only if the oldest pending change is not older", "2s")
    .option(
      "--verify-rest",
      "while services wait, also compare what they wrote last; `ferry verify --follow` must be running",
    )
    .option("--accept <codes>", "error codes to accept, comma-separated: what they stand for stays missing")
    .option("--config <file>", "routes and their rules (default: ferry.yaml here, if it exists)")
    .option("--ready", "only print what is missing")
    .option("--rehearse", "do everything except the fence, and predict the pause")
    .option("--abort", "undo: lift a fence that was left")
    .option(
      "--allow-both",
      "with --abort: lift the fence although services were sent over, or although it is not ferry's",
    )
    .addOption(new Option(`${SECOND_OF} <id>`).hideHelp());

/** @throws FERRY_USAGE where nothing of it would be left */
const maxPauseOf = ({ maxPause }: CutoverFlags): number => {
  const ms = milliseconds("--max-pause", maxPause);
  if (ms > WAY_BACK_MS) return ms;
  const kept = `the last ${WAY_BACK_MS} ms of it are kept for the way back`;
  throw new FerryError("FERRY_USAGE", `--max-pause ${maxPause} is too short: ${kept}, so give more`);
};

/** @throws FERRY_USAGE where two of them say what is to be done, or one would be ignored */
const requireOneAct = ({ ready, rehearse, abort, allowBoth }: CutoverFlags): void => {
  const acts = Object.entries({ "--ready": ready, "--rehearse": rehearse, "--abort": abort });
  const asked = acts.flatMap(([name, isAsked]) => (isAsked === true ? [name] : []));
  if (asked.length > 1) throw new FerryError("FERRY_USAGE", `${asked.join(" and ")} exclude each other`);
  if (allowBoth === true && abort !== true) throw new FerryError("FERRY_USAGE", "--allow-both goes with --abort");
};

const choicesOf = async (flags: CutoverFlags) => {
  requireOneAct(flags);
  const named = listed(flags.namespace ?? "");
  if (flags.namespace !== undefined && named.length === 0)
    throw new FerryError("FERRY_USAGE", "--namespace is empty: leave it out to switch everything over");
  return {
    named,
    fence: parseFence(flags.fence ?? (named.length === 0 ? "user-write-block" : "validator")),
    maxPauseMs: maxPauseOf(flags),
    maxLagMs: milliseconds("--max-lag", flags.maxLag),
    routes: (await readConfig(flags.config)).routes,
    onRelease: flags.onRelease,
    accepted: acceptedCodes(flags.accept),
    verifyRest: flags.verifyRest === true,
    isBack: flags.isBack === true,
  };
};

const cutover = async (flags: CutoverFlags): Promise<void> => {
  const choices = await choicesOf(flags); // said before anything is connected
  const isQuiet = flags.json === true || flags.secondOf !== undefined;
  const tell = (text: string): void => {
    if (!isQuiet) print(sentence(flags, text));
  };
  const picture = new CutoverPicture(flags.isBack === true ? "ferry rollback" : "ferry cutover", systemClock.now());
  const on = flags.isBack === true ? withPlaces : withTarget; // the way back has its own sentence for a state that is not there
  return on(flags, "ferry cutover", (target, state) =>
    withSignals(async ({ soft }) => {
      const { source } = resolveSettings(flags, ["source"]);
      // The second process stops when services no longer wait.
      const signal = flags.secondOf === undefined ? soft : new AbortController().signal;
      const deps: SwitchDeps = {
        ...{ ...choices, target, state, tell, clock: systemClock, logger: plainLogger, signal },
        owner: `${hostname()}/${process.pid}`,
        by: cliAuthor(),
        report: (record) => {
          picture.tell(record, systemClock.now());
          tell(DOES[record.state] ?? record.state);
        },
        onRetry: ({ detail }) => printAside(`${detail}; trying again`),
      };
      const kafka = () => resolveSettings(flags, ["kafka"]);
      const servers = { source, kafka, connect: () => connectOf(flags, signal) };
      await using parts = await wireSwitch(deps, servers).catch((error) => noRun(flags, error));
      if (parts === undefined) return;
      using _view = isQuiet ? NO_VIEW : openLiveView(picture.at, { leaves: false });
      await use(flags, new Switchover(deps, parts));
    }),
  );
};

/** Asked what is missing, a run that is not there is an answer. @throws the error else */
const noRun = (flags: CutoverFlags, error: unknown): undefined => {
  const isAnswer = isFerry(error, "FERRY_RUN_NONE") || isFerry(error, "FERRY_ROLLBACK_NONE");
  if (flags.ready !== true || !isAnswer) throw error;
  tellReady(flags, { missing: [error], last: undefined, noWayBack: [] });
};

const connectOf = (flags: CutoverFlags, signal: AbortSignal): ConnectRest =>
  patientConnect(connectAddress(resolveSettings(flags, ["connect"])), { giveUpAfterMs: CONNECT_PATIENCE_MS, signal });

const use = async (flags: CutoverFlags, switchover: Switchover): Promise<void> => {
  if (flags.secondOf !== undefined) {
    print(WATCHING);
    return switchover.watch(Number(flags.secondOf));
  }
  if (flags.abort === true) return tellAbort(flags, await switchover.abort(flags.allowBoth === true));
  if (flags.ready === true) return tellReady(flags, await switchover.ready());
  if (flags.rehearse === true) return tellRehearsal(flags, await switchover.rehearse());
  if (flags.json !== true && switchover.noWayBack.length > 0) print(noWayBackText(switchover.noWayBack));
  const args = process.argv.slice(2);
  return tellEnd(flags, await switchover.drive((id) => new SecondProcess([...args, SECOND_OF, String(id)])));
};

/** Who reads it knows the sides by the names of the way there. */
const sentence = ({ isBack }: CutoverFlags, text: string): string =>
  isBack === true
    ? text.replace(/the (source|target)/g, (_, side) => (side === "source" ? "the target" : "the source"))
    : text;

const DOES: Partial<Record<CutoverRecord["state"], string>> = {
  checking: "checking what is missing",
  approaching: "approaching: positions move within milliseconds now",
  fencing: "fencing the source",
  draining: "fenced: the last changes arrive",
  proving: "drained: looking whether anything is missing",
  restoring: "proven: validators and time limits return on the target",
  releasing: "releasing services",
  ending: "released: services write to the target; what takes longer is done now",
  lifting: "going back: lifting the fence",
};

/** What came of it. @throws why it went back; FERRY_STRUCTURE_INCOMPLETE */
const tellEnd = (flags: CutoverFlags, record: CutoverRecord): void => {
  const { namespaces, unrestored = [] } = record;
  if (flags.json === true) printJson(cutoverFacts(record));
  requireOver(record, flags.isBack === true ? "rollback" : "cutover");
  requireComplete(unrestored);
  if (flags.json === true) return;
  const what = namespaces.length === 0 ? "everything" : namespaces.join(", ");
  const fenced = record.fence === "none" ? "nothing keeps writers from the source" : "the source stays fenced";
  print(sentence(flags, `switched over: ${what} is with the target now, and ${fenced}`));
  print(`the pause was ${pauseText(pauseOf(record))}`);
};

const tellAbort = (flags: CutoverFlags, record: CutoverRecord | undefined): void => {
  if (flags.json === true) printJson(record === undefined ? { cutover: null, lifted: true } : cutoverFacts(record));
  else if (record === undefined) print(sentence(flags, "the fence is lifted: the source takes writes"));
  else print(sentence(flags, `cutover ${record._id} was taken back: services write to the source`));
};

const noWayBackText = (reasons: readonly string[]): string => `there is no way back for ${reasons.join("; ")}`;

const expectedText = ({ pauseMs, parts, at, namespaces = [] }: RehearsalRecord, asked: readonly string[]): string => {
  const of = isSameScope({ namespaces }, asked)
    ? ""
    : `, of ${namespaces.length === 0 ? "everything" : namespaces.join(", ")}`;
  return `expected pause ${pauseText({ ms: pauseMs, parts })} (rehearsed ${at.toISOString()}${of})`;
};

const tellReady = (flags: CutoverFlags, found: SwitchReadiness): void => {
  const { missing, last, noWayBack } = found;
  const asked = listed(flags.namespace ?? "");
  if (missing.length > 0) process.exitCode = 1;
  if (flags.json === true) {
    printJson(readinessFacts(found, asked));
    return;
  }
  if (missing.length === 0) print("ready");
  for (const { code, detail, entry } of missing) print(`missing: ${code}: ${detail}\n  ${entry.hint}`);
  if (last === undefined) print("never rehearsed: the pause is not known");
  else print(expectedText(last, asked));
  if (noWayBack.length > 0) print(noWayBackText(noWayBack));
};

const tellRehearsal = (flags: CutoverFlags, { pauseMs, parts }: Rehearsed): void => {
  if (flags.json === true) printJson({ rehearsed: true, expectedPauseMs: pauseMs, parts });
  else print(`rehearsed: the pause would be about ${pauseText({ ms: pauseMs, parts })}`);
};
