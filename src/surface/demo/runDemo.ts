import { styleText } from "node:util";
import { FerryError, isFerry } from "#base/errors/ferryError.ts";
import { duration } from "#base/flow/figures.ts";
import { connectMongo } from "#io/mongo/connect.ts";
import { stackReset, stackUp } from "#tools/stack/localStack.ts";
import { dataFolder, readState } from "#tools/stack/stackState.ts";
import { openDemoPool, poolSteps } from "./demoPool.ts";
import { type Demo, type DemoOutcome, RUN_BOOK } from "./runBook.ts";
import { runFerry, type Said } from "./runFerry.ts";
import { SWITCH_OVER } from "./switchOver.ts";

export type DemoOptions = Readonly<{
  /** State folder of the demo's own stack. */
  home: string;
  workers: number;
  /** Its users go to a user pool as well. */
  withCognito: boolean;
  /** The script that is `ferry` itself. */
  entry: string;
  signal: AbortSignal;
  print: (line: string) => void;
}>;

export type StepResult = Readonly<{ title: string; expected: string; seen: string; ms: number }>;

/** Lines shown of a command's output; the rest is counted. */
const SHOWN_FIRST = 22;
const LONGEST_LINE = 150;

/** Shows the first lines and the last one, so that a hundred records do not hide the run book. */
const shortened = (print: (line: string) => void): { line: (line: string) => void; end: () => void } => {
  let [count, last] = [0, ""];
  const show = (line: string): void =>
    print(`    ${line.length > LONGEST_LINE ? `${line.slice(0, LONGEST_LINE - 1)}…` : line}`);
  return {
    line: (line) => {
      count += 1;
      last = line;
      if (count <= SHOWN_FIRST) show(line);
    },
    end: () => {
      if (count > SHOWN_FIRST + 1) print(`    … ${count - SHOWN_FIRST - 1} more lines`);
      if (count > SHOWN_FIRST) show(last);
    },
  };
};

/** What the stack's errors advise (a port, a disk, a mirror) is not in any log. */
const seenOf = (error: unknown): string => {
  if (!isFerry(error)) return error instanceof Error ? error.message : String(error);
  const remedy = error.entry.foundAt === "stack" ? ` (${error.entry.hint})` : "";
  return `${error.code}: ${error.detail}${remedy}`;
};

/** Does one step and holds it against what it promises. @throws FERRY_DEMO_STEP, or the signal's reason. */
export const takeStep = async <T>(
  number: number,
  step: Readonly<{ title: string; expected: string; act: (on: T) => Promise<DemoOutcome> }>,
  demo: T,
  { home, print, signal }: DemoOptions,
): Promise<StepResult> => {
  const begun = performance.now();
  print(styleText("bold", `\n${number}. ${step.title}`));
  let outcome: DemoOutcome;
  try {
    outcome = await step.act(demo);
  } catch (error) {
    signal.throwIfAborted();
    outcome = { ok: false, seen: seenOf(error) };
  }
  const ms = performance.now() - begun;
  if (!outcome.ok)
    throw new FerryError(
      "FERRY_DEMO_STEP",
      `step ${number} (${step.title}): expected ${step.expected}; seen: ${outcome.seen}; the logs are in ${dataFolder(home)}`,
      { facts: { step: number, title: step.title, expected: step.expected, seen: outcome.seen } },
    );
  print(styleText("green", `    ✓ ${step.expected}  (${duration(ms)})`));
  return { title: step.title, expected: step.expected, seen: outcome.seen, ms };
};

/** The step before the run book's own. */
const bringUp = (workers: number) => ({
  title: `Start MongoDB, Kafka, Kafka Connect and ${workers} workers`,
  expected: "all servers answer",
  act: async ({ home, entry, signal, print }: DemoOptions): Promise<DemoOutcome> => {
    const report = (line: string): void => print(`    ${line}`);
    if (readState(home) !== undefined) await stackReset(home, report);
    await stackUp({ folder: home, workers, workerEntry: entry, signal, report });
    return { ok: true, seen: "all servers answer" };
  },
});

/**
 * The run book from an empty folder to a migrated and compared collection, then a change of sides and back, on real servers of its
 * own. They are left running, whatever comes of it: the caller stops or keeps them.
 * @throws FERRY_DEMO_STEP naming the step, what was expected and what was seen; FERRY_STOPPED.
 */
export const runDemo = async (options: DemoOptions): Promise<readonly StepResult[]> => {
  const results = [await takeStep(1, bringUp(options.workers), options, options)];
  const endpoints = readState(options.home)?.endpoints;
  if (endpoints === undefined) throw new FerryError("FERRY_BUG", "a stack that is up has no state file");
  const { signal, print } = options;

  const source = await connectMongo(endpoints.source, { appName: "ferry demo" });
  try {
    const target = await connectMongo(endpoints.target, { appName: "ferry demo" });
    try {
      const ferry = async (...args: string[]): Promise<Said> => {
        print(`    $ ferry ${args.join(" ")}`);
        const shown = shortened(print);
        const said = await runFerry(args, { ...options, onLine: shown.line });
        shown.end();
        return said;
      };
      const show = (line: string): void => print(`    ${line}`);
      const ending = new AbortController();
      const ended = AbortSignal.any([signal, ending.signal]);
      const started: Promise<unknown>[] = [];
      const start = (...args: string[]): void => {
        print(`    $ ferry ${args.join(" ")} &`);
        const run = runFerry(args, { ...options, signal: ended, onLine: (line) => print(`    ${line}`) });
        started.push(run.catch(() => undefined)); // stopped at the end; what it lacks shows in the steps
      };
      const demo: Demo = { source, target, kafka: endpoints.kafka, signal, ferry, start, show };
      try {
        await using pool = options.withCognito ? await openDemoPool(options.home, signal) : undefined;
        for (const step of [...RUN_BOOK, ...(pool === undefined ? [] : poolSteps(pool)), ...SWITCH_OVER]) {
          signal.throwIfAborted();
          results.push(await takeStep(results.length + 1, step, demo, options));
        }
      } finally {
        ending.abort();
        await Promise.all(started);
      }
    } finally {
      await target.close();
    }
  } finally {
    await source.close();
  }
  return results;
};
