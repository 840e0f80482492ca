import { Command } from "commander";
import type { SettingFlags } from "#base/config/settings.ts";
import { withoutSecrets } from "#base/errors/secrets.ts";
import { withExamples } from "./examples.ts";
import { VERSION } from "./version.ts";

/** Adds arguments, flags and the action to a command that has its name and description. */
type Register = (command: Command) => void;

type CommandEntry = Readonly<{ name: string; description: string; load: () => Promise<Register> }>;

/**
 * Every command. Its module, and with it what it imports (drivers, schemas), is loaded only when the command line names it:
 * `ferry --version` and `ferry --help` need none.
 */
const COMMANDS: readonly CommandEntry[] = [
  {
    name: "audit",
    description: "list who asked for which change, by a command or the HTTP API, the newest first",
    load: async () => (await import("./commands/control/audit.ts")).registerAudit,
  },
  {
    name: "capture",
    description: "copy and stream a source into Kafka topics, without the connector",
    load: async () => (await import("./commands/capture.ts")).registerCapture,
  },
  {
    name: "check",
    description:
      "check both databases, Kafka and Connect before a run; every failure names its remedy and exits with 1",
    load: async () => (await import("./commands/check.ts")).registerCheck,
  },
  {
    name: "completion",
    description: "print the completion script of a shell",
    load: async () => (await import("./commands/completion.ts")).registerCompletion,
  },
  {
    name: "config",
    description: "check ferry.yaml, or print its JSON Schema",
    load: async () => (await import("./commands/config.ts")).registerConfig,
  },
  {
    name: "control",
    description: "serve the state of a migration and its steering over HTTP; a second one stands by",
    load: async () => (await import("./commands/control/control.ts")).registerControl,
  },
  {
    name: "cutover",
    description:
      "switch services over: fence the source, apply and verify the last changes, send services to the target; undone if it takes too long",
    load: async () => (await import("./commands/cutover.ts")).registerCutover,
  },
  {
    name: "cx",
    description: "create or update a connector from its file; a source connector starts without a gap",
    load: async () => (await import("./commands/cx.ts")).registerCx,
  },
  {
    name: "del",
    description: "remove a connector; Connect and ferry keep its position, and `ferry cx` resumes from it",
    load: async () => (await import("./commands/del.ts")).registerDel,
  },
  {
    name: "demo",
    description: "run every step of the run book on its own real servers, and check every result",
    load: async () => (await import("./commands/demo.ts")).registerDemo,
  },
  {
    name: "dlq",
    description: "dead letters: list, show, replay, discard or export the events that could not be applied",
    load: async () => (await import("./commands/dlq.ts")).registerDlq,
  },
  {
    name: "conflicts",
    description: "list documents that both sides wrote: both versions, which one won, and why",
    load: async () => (await import("./commands/conflicts.ts")).registerConflicts,
  },
  {
    name: "drift",
    description: "list new fields and types in order of time, and decide about them",
    load: async () => (await import("./commands/drift.ts")).registerDrift,
  },
  {
    name: "filter",
    description: "show what the rules of a route do",
    load: async () => (await import("./commands/filter.ts")).registerFilter,
  },
  {
    name: "gen-data",
    description: "insert generated people into the source, or run mixed writes on it",
    load: async () => (await import("./commands/genData.ts")).registerGenData,
  },
  {
    name: "kc",
    description: "print the records of a topic from the beginning, and follow it",
    load: async () => (await import("./commands/kc.ts")).registerKc,
  },
  {
    name: "pause",
    description:
      "pause a `ferry run` (no writes to the target), a `ferry capture` or a connector (no writes to Kafka) until `ferry resume`, also after a restart",
    load: async () => (await import("./commands/lifecycle.ts")).registerPause,
  },
  {
    name: "throttle",
    description: "change how fast a `ferry run` or `ferry capture` copies, within a second and without a restart",
    load: async () => (await import("./commands/throttle.ts")).registerThrottle,
  },
  {
    name: "resume",
    description: "resume a paused `ferry run`, `ferry capture` or connector from its position",
    load: async () => (await import("./commands/lifecycle.ts")).registerResume,
  },
  {
    name: "finalize",
    description:
      "end a `ferry run` or `ferry capture`: apply what is pending, then restore deferred constraints (unique, TTL, validators, caps)",
    load: async () => (await import("./commands/lifecycle.ts")).registerFinalize,
  },
  {
    name: "receipt",
    description: "write counts and digests of both sides as JSON that a third party can recompute",
    load: async () => (await import("./commands/receipt.ts")).registerReceipt,
  },
  {
    name: "repair",
    description: "write wrong documents of `ferry verify` again; without --apply, only list them",
    load: async () => (await import("./commands/repair.ts")).registerRepair,
  },
  {
    name: "rollback",
    description:
      "after a cutover, while `ferry run --reverse` is running: send services back to the source, with the same guards",
    load: async () => (await import("./commands/cutover.ts")).registerRollback,
  },
  {
    name: "run",
    description: "copy and stream a source to a target in one process, without Kafka",
    load: async () => (await import("./commands/run.ts")).registerRun,
  },
  {
    name: "stack",
    description: "start and stop real servers on this machine, without containers",
    load: async () => (await import("./commands/stack.ts")).registerStack,
  },
  {
    name: "status",
    description: "show topics, connectors, end offsets, worker lanes with their lag, and what needs attention",
    load: async () => (await import("./commands/status.ts")).registerStatus,
  },
  {
    name: "structure",
    description: "plan, build and follow collections, options, indexes and views on the target",
    load: async () => (await import("./commands/structure.ts")).registerStructure,
  },
  {
    name: "token",
    description: "create, list and revoke tokens for `ferry control`",
    load: async () => (await import("./commands/control/token.ts")).registerToken,
  },
  {
    name: "verify",
    description: "compare source and target document by document; check differences again until they settle",
    load: async () => (await import("./commands/verify.ts")).registerVerify,
  },
  {
    name: "worker",
    description: "read topics and write them to the target; start as many as you like",
    load: async () => (await import("./commands/worker.ts")).registerWorker,
  },
];

/** The flags that hold a password are warned of before a command runs; its settings are loaded by then. */
const warn = async (action: Command, json: boolean): Promise<void> => {
  const { logsJson, warnOfVisiblePasswords } = await import("./connections.ts");
  warnOfVisiblePasswords(action.opts<SettingFlags>(), json || logsJson(action));
};

/**
 * The command line: every command with its name and description, those that `words` name also with arguments and flags.
 * @param words the command line's; `completion` describes all commands, and loads them all
 * @param json failures are printed as JSON: commander is silent about them
 */
export const ferryProgram = async (words: readonly string[], json = false): Promise<Command> => {
  const program = new Command("ferry")
    .description("Live MongoDB to MongoDB migration through Kafka")
    .version(VERSION)
    .exitOverride();
  // An address may stand where no argument is expected: commander repeats it.
  program.configureOutput({ writeErr: (text) => void (json || process.stderr.write(withoutSecrets(text))) });
  if (!json) program.showHelpAfterError();
  for (const { name, description, load } of COMMANDS) {
    const command = program.command(name).description(description);
    if (!words.includes(name) && !words.includes("completion")) continue;
    (await load())(command);
    withExamples(command, name);
  }
  return program.hook("preAction", (_, action) => warn(action, json));
};
