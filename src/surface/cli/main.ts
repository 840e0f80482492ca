import { Command, CommanderError } from "commander";
import type { SettingFlags } from "#base/config/settings.ts";
import { FerryError } from "#base/errors/ferryError.ts";
import { registerCapture } from "./commands/capture.ts";
import { registerCheck } from "./commands/check.ts";
import { registerConfig } from "./commands/config.ts";
import { registerConflicts } from "./commands/conflicts.ts";
import { registerCutover } from "./commands/cutover.ts";
import { registerCx } from "./commands/cx.ts";
import { registerDel } from "./commands/del.ts";
import { registerDemo } from "./commands/demo.ts";
import { registerDlq } from "./commands/dlq.ts";
import { registerDrift } from "./commands/drift.ts";
import { registerFilter } from "./commands/filter.ts";
import { registerGenData } from "./commands/genData.ts";
import { registerKc } from "./commands/kc.ts";
import { registerLifecycle } from "./commands/lifecycle.ts";
import { registerReceipt } from "./commands/receipt.ts";
import { registerRepair } from "./commands/repair.ts";
import { registerRun } from "./commands/run.ts";
import { registerStack } from "./commands/stack.ts";
import { registerStatus } from "./commands/status.ts";
import { registerStructure } from "./commands/structure.ts";
import { registerVerify } from "./commands/verify.ts";
import { registerWorker } from "./commands/worker.ts";
import { warnOfVisiblePasswords } from "./connections.ts";
import { printFailure } from "./output.ts";
import { VERSION } from "./version.ts";

/** Asked of the command line itself: one that cannot be parsed fails as JSON, too. */
const json = process.argv.includes("--json");

/** One module per command family; each adds its commands to the program, and takes over how it ends and prints. */
const program = new Command("ferry")
  .description("Live MongoDB to MongoDB migration through Kafka")
  .version(VERSION)
  .exitOverride();
if (json) program.configureOutput({ writeErr: () => undefined });
else program.showHelpAfterError();

registerCapture(program);
registerCheck(program);
registerConfig(program);
registerCutover(program);
registerCx(program);
registerDel(program);
registerDemo(program);
registerDlq(program);
registerConflicts(program);
registerDrift(program);
registerFilter(program);
registerGenData(program);
registerKc(program);
registerLifecycle(program);
registerReceipt(program);
registerRepair(program);
registerRun(program);
registerStack(program);
registerStatus(program);
registerStructure(program);
registerVerify(program);
registerWorker(program);

program.hook("preAction", (_, action) => {
  const logs = action.options.some(({ long }) => long === "--log-level"); // then stderr is lines of JSON
  warnOfVisiblePasswords(action.opts<SettingFlags>(), json || logs);
});

/** A command alone that has only subcommands is no error to commander: it shows the help instead. */
const usage = ({ code, message }: CommanderError): FerryError =>
  new FerryError("FERRY_USAGE", code === "commander.help" ? "a command is missing" : message.replace(/^error: /, ""));

const failed = (error: unknown): number =>
  printFailure(error instanceof Error ? error : new FerryError("FERRY_BUG", String(error)), json);

// Node's own report would show an error's properties, and with them a client's options.
process.on("uncaughtException", (error) => process.exit(failed(error)));

try {
  await program.parseAsync();
} catch (error) {
  if (!(error instanceof CommanderError)) process.exitCode = failed(error);
  else if (error.exitCode === 0) process.exitCode = 0;
  else process.exitCode = json ? printFailure(usage(error), json) : 64; // without --json commander has said it, with help
}
