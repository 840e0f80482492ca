/** Running test files and counting what came of them: what the suites and the container tests share. */
import { relative, resolve as resolvePath } from "node:path";
import { run } from "node:test";
import { spec } from "node:test/reporters";

export type Tally = { tests: number; passed: number; failed: number; skipped: number; cancelled: number; todo: number };
export type Timed = Readonly<{ what: string; ms: number }>;

export const none = (): Tally => ({ tests: 0, passed: 0, failed: 0, skipped: 0, cancelled: 0, todo: 0 });

export const add = (into: Tally, from: Tally): void => {
  for (const name of Object.keys(into) as (keyof Tally)[]) into[name] += from[name];
};

const END_OF_FILE = new URL("./endOfFile.ts", import.meta.url).href;

const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;

/**
 * Runs the files, so many concurrently, and prints as it goes. A test that takes longer than `timeout` ms fails; it is not unwound,
 * so that its servers would keep its process alive: that one is made to exit, and the exit hook of folders.ts ends them.
 * @param pattern runs only tests whose name it matches; undefined runs all
 */
export const runFiles = (
  files: readonly string[],
  atOnce: number,
  times: Timed[],
  timeout: number,
  pattern?: RegExp,
): Promise<Tally> =>
  new Promise((resolve, reject) => {
    const tally = none();
    const stream = run({
      files: [...files],
      concurrency: atOnce,
      timeout,
      ...(pattern === undefined ? {} : { testNamePatterns: pattern }),
      execArgv: ["--disable-warning=ExperimentalWarning", "--import", END_OF_FILE],
    });
    stream.on("test:summary", ({ file, counts, duration_ms }) => {
      if (file !== undefined) {
        times.push({ what: relative(process.cwd(), file), ms: duration_ms });
        return;
      }
      add(tally, { ...none(), ...(counts as Partial<Tally>) });
    });
    // A file of which the pattern takes nothing is reported as one test that passed, by the file's name.
    stream.on("test:pass", ({ name, file }) => {
      if (pattern === undefined || file === undefined || resolvePath(name) !== file) return;
      tally.tests -= 1;
      tally.passed -= 1;
    });
    stream.on("error", reject);
    stream.on("end", () => resolve(tally));
    stream.compose(new spec()).pipe(process.stdout, { end: false });
  });

/** Times, and the closing lines that runners of CI count. */
export const summary = (total: Tally, suites: readonly Timed[], files: readonly Timed[], ms: number): void => {
  console.log("\nTime per suite:");
  for (const { what, ms: took } of suites) console.log(`  ${what.padEnd(12)} ${seconds(took)}`);
  console.log("Slowest files:");
  for (const { what, ms: took } of [...files].sort((a, b) => b.ms - a.ms).slice(0, 8))
    console.log(`  ${what} ${seconds(took)}`);
  console.log(`Total: ${seconds(ms)}\n`);
  const { tests, passed, failed, cancelled, skipped, todo } = total;
  console.log(
    `tests ${tests}\npass ${passed}\nfail ${failed}\ncancelled ${cancelled}\nskipped ${skipped}\ntodo ${todo}`,
  );
  console.log(`${passed} passed, ${failed + cancelled} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`);
};
