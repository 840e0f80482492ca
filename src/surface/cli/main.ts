import { setSourceMapsSupport } from "node:module";
import { CommanderError } from "commander";
import { FerryError } from "#base/errors/ferryError.ts";

import { printFailure } from "#surface/terminal/output.ts";
import { endWithReader } from "#surface/terminal/readerGone.ts";
import { IS_COMPILED } from "#surface/terminal/self.ts";
import { ferryProgram } from "./program.ts";

// Compiled for the package: what is loaded from here on is named in stack traces by its line in the sources.
if (IS_COMPILED) setSourceMapsSupport(true, { nodeModules: true });

/** Asked of the command line itself: one that cannot be parsed fails as JSON, too. */
const json = process.argv.includes("--json");

/** A command alone that has only subcommands is no error to commander: it shows the help instead. */
const usage = ({ code, message }: CommanderError): FerryError =>
  new FerryError("FERRY_USAGE", code === "commander.help" ? "a command is missing" : message.replace(/^error: /, ""));

const failed = (error: unknown): number =>
  printFailure(error instanceof Error ? error : new FerryError("FERRY_BUG", String(error)), json);

endWithReader();

// Node's own report would show an error's properties, and with them a client's options.
process.on("uncaughtException", (error) => process.exit(failed(error)));

try {
  const program = await ferryProgram(process.argv.slice(2), json);
  await program.parseAsync();
} catch (error) {
  if (!(error instanceof CommanderError)) process.exitCode = failed(error);
  else if (error.exitCode === 0) process.exitCode = 0;
  else process.exitCode = json ? printFailure(usage(error), json) : 64; // without --json commander has said it, with help
}
