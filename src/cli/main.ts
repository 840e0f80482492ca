import { Command, CommanderError } from "commander";
import { FerryError } from "#errors/ferryError.ts";
import { registerCheck } from "./commands/check.ts";
import { registerConfig } from "./commands/config.ts";
import { registerCx } from "./commands/cx.ts";
import { registerDel } from "./commands/del.ts";
import { registerDemo } from "./commands/demo.ts";
import { registerDlq } from "./commands/dlq.ts";
import { registerDrift } from "./commands/drift.ts";
import { registerFilter } from "./commands/filter.ts";
import { registerGenData } from "./commands/genData.ts";
import { registerKc } from "./commands/kc.ts";
import { registerStack } from "./commands/stack.ts";
import { registerStatus } from "./commands/status.ts";
import { registerWorker } from "./commands/worker.ts";
import { printFailure } from "./output.ts";

/** One module per command family; each adds its commands to the program. */
const program = new Command("ferry")
  .description("Live MongoDB to MongoDB migration through Kafka")
  .showHelpAfterError();

registerCheck(program);
registerConfig(program);
registerCx(program);
registerDel(program);
registerDemo(program);
registerDlq(program);
registerDrift(program);
registerFilter(program);
registerGenData(program);
registerKc(program);
registerStack(program);
registerStatus(program);
registerWorker(program);

program.exitOverride();
try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : 64;
  else process.exitCode = printFailure(error instanceof Error ? error : new FerryError("FERRY_BUG", String(error)));
}
