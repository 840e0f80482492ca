/**
 * `npm run test:console [-- FILE ...]`: the console in a real Chromium, on a real run. `--install` lets root get Debian's Chromium;
 * `--if-possible` makes it no failure that there is none; `--screenshots` takes the pictures of README and docs instead.
 */
import { readdirSync } from "node:fs";
import { join, relative } from "node:path";
import { ensureBuilt } from "#surface/console/builtPage.ts";
import { ensureMongod } from "#tools/stack/mongodArtefact.ts";
import { Unavailable } from "../containers/command.ts";
import { runFiles, summary, type Timed } from "../harness/suite.ts";
import { BROWSER_ENV, ensureBrowser } from "./browser.ts";

const FOLDER = "test/console";
const FILE_TIMEOUT_MS = 6 * 60_000;

const say = (line: string): void => console.log(`console: ${line}`);

const filesOf = (args: readonly string[]): readonly string[] => {
  if (args.includes("--screenshots")) return [join(FOLDER, "screenshots.ts")];
  const named = args.filter((arg) => !arg.startsWith("--")).map((path) => relative(process.cwd(), path));
  const all = readdirSync(FOLDER).filter((name) => name.endsWith(".test.ts"));
  return all.map((name) => join(FOLDER, name)).filter((file) => named.length === 0 || named.includes(file));
};

const main = async (args: readonly string[]): Promise<boolean> => {
  const started = performance.now();
  process.env[BROWSER_ENV] = await ensureBrowser(args.includes("--install"), say);
  await ensureMongod(say);
  await ensureBuilt();
  const times: Timed[] = [];
  const tally = await runFiles(filesOf(args), 1, times, FILE_TIMEOUT_MS);
  summary(tally, [], times, performance.now() - started);
  return tally.tests > 0 && tally.failed + tally.cancelled === 0;
};

const [, , ...args] = process.argv;
try {
  process.exitCode = (await main(args)) ? 0 : 1;
} catch (error) {
  if (!(error instanceof Unavailable)) throw error;
  const skip = args.includes("--if-possible");
  say(skip ? `skipped: ${error.message}` : error.message);
  process.exitCode = skip ? 0 : 69;
}
