/**
 * `npm test [-- PART ...] [-t PATTERN]`: checks, then every suite, then one summary. A part is `check`, a folder below test/
 * (`unit`), or the path of a test file; of their tests only those whose name matches the pattern. Files run a few at a time; each
 * stage gets a temporary folder that is looked through afterwards, so that no server outlives it.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { ensureJava } from "#tools/stack/javaArtefact.ts";
import { ensureConnector, ensureKafka } from "#tools/stack/kafkaArtefact.ts";
import { ensureMongod } from "#tools/stack/mongodArtefact.ts";
import { isSameProcess } from "#tools/stack/process.ts";
import type { Running } from "#tools/stack/server.ts";
import { check } from "./check.ts";
import { type Choice, choiceOf, nothingRan, USAGE } from "./harness/choice.ts";
import { killServersOf, tempFolder } from "./harness/folders.ts";
import { recordClasses } from "./harness/recordClasses.ts";
import { add, none, runFiles, summary, type Tally, type Timed } from "./harness/suite.ts";

/**
 * In the order in which they run: the cheap ones say first what is wrong. Suites with servers share one schedule, so that no
 * core idles at the end of each; three of their files at a time, since one waits for leases, starts and kills a third of its time.
 */
const STAGES: readonly Readonly<{ name: string; suites: readonly string[]; atOnce: number; servers: boolean }>[] = [
  { name: "unit", suites: ["unit"], atOnce: 2, servers: false },
  { name: "with servers", suites: ["contract", "integration", "fault"], atOnce: 3, servers: true },
];

/** The longest files, longest first: one that begins late would be left alone at the end. */
const LONGEST: readonly string[] = [
  "test/integration/benches.test.ts",
  "test/fault/kill.test.ts",
  "test/fault/direct.test.ts",
  "test/integration/cognito.test.ts",
  "test/integration/cutover.test.ts",
  "test/integration/cx.test.ts",
  "test/integration/status.test.ts",
  "test/integration/secure-kafka.test.ts",
  "test/fault/points.test.ts",
  "test/integration/stackCommand.test.ts",
  "test/fault/target-writers.test.ts",
  "test/fault/fence.test.ts",
  "test/fault/failover.test.ts",
  "test/integration/poison.test.ts",
  "test/fault/drop.test.ts",
  "test/integration/direct-scope.test.ts",
  "test/integration/dlq.test.ts",
  "test/integration/routes.test.ts",
];

/** No test takes longer than this, ms; one that hangs fails by name instead of holding CI. */
const TEST_TIMEOUT_MS = 8 * 60_000;

/** The longest first, the others in their order. @throws where one of the longest is gone */
const longestFirst = (files: readonly string[]): string[] => {
  const gone = LONGEST.filter((file) => !existsSync(file));
  if (gone.length > 0) throw new Error(`not there, but scheduled first: ${gone.join(", ")}`);
  return [...LONGEST.filter((file) => files.includes(file)), ...files.filter((file) => !LONGEST.includes(file))];
};

const filesOf = (folder: string): string[] =>
  existsSync(folder)
    ? readdirSync(folder, { recursive: true, encoding: "utf8" })
        .filter((name) => name.endsWith(".test.ts"))
        .map((name) => join(folder, name))
        .sort()
    : [];

/** The files of a suite that the parts ask for; all of them where no part was named. */
const wanted = (suite: string, parts: readonly string[]): string[] => {
  const files = filesOf(join("test", suite));
  if (parts.length === 0) return files;
  const paths = parts.map((part) => relative(process.cwd(), part));
  return files.filter((file) =>
    paths.some((path) => [path, join("test", path)].some((p) => file === p || file.startsWith(`${p}/`))),
  );
};

const leaked = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".pid"))
    .filter((name) => {
      const running = JSON.parse(readFileSync(join(folder, name), "utf8")) as Running;
      return isSameProcess(running.pid, running.stamp);
    });

/** One stage in a temporary folder of its own. Servers that are left in it count as a failure, and are ended. */
const runStage = async (
  { name, atOnce }: (typeof STAGES)[number],
  files: readonly string[],
  times: Timed[],
  pattern: RegExp | undefined,
): Promise<Tally> => {
  using folder = tempFolder();
  const former = process.env["TMPDIR"];
  process.env["TMPDIR"] = folder.path; // the test processes inherit it
  try {
    const tally = await runFiles(files, atOnce, times, TEST_TIMEOUT_MS, pattern);
    const left = leaked(folder.path);
    if (left.length > 0) {
      console.log(`FAIL ${name} left servers running: ${left.join(", ")}`);
      killServersOf(folder.path);
      tally.failed += 1;
    }
    return tally;
  } finally {
    if (former === undefined) delete process.env["TMPDIR"];
    else process.env["TMPDIR"] = former;
  }
};

/** Downloads what the servers need before several files ask for it concurrently. */
const provision = async (): Promise<void> => {
  const report = (line: string): void => console.log(line);
  await ensureMongod(report);
  await ensureJava(report);
  await ensureKafka(report);
  await ensureConnector(report);
  await recordClasses();
};

/**
 * Kafka and Connect live for a minute here: what the optimising compiler would win in hours costs them two fifths of the CPU time
 * that they take to start.
 */
const JAVA_OPTIONS = "-XX:TieredStopAtLevel=1";

const main = async (choice: Choice): Promise<boolean> => {
  const { parts, pattern } = choice;
  process.env["JDK_JAVA_OPTIONS"] ??= JAVA_OPTIONS; // the servers inherit it
  const started = performance.now();
  const total = none();
  const [stageTimes, fileTimes]: [Timed[], Timed[]] = [[], []];
  const checked = (parts.length > 0 && !parts.includes("check")) || check();
  if (!checked) total.failed += 1;
  const stages = parts.length === 1 && parts[0] === "check" ? [] : STAGES;
  for (const stage of stages) {
    const files = longestFirst(stage.suites.flatMap((suite) => wanted(suite, parts)));
    if (files.length === 0) continue;
    const stageStarted = performance.now();
    if (stage.servers) await provision();
    console.log(`\n=== ${stage.name}: ${files.length} files, ${stage.atOnce} at a time`);
    add(total, await runStage(stage, files, fileTimes, pattern));
    stageTimes.push({ what: stage.name, ms: performance.now() - stageStarted });
  }
  const isNothing = total.tests === 0 && stages.length > 0;
  if (isNothing) {
    console.log(nothingRan(choice));
    total.failed += 1;
  }
  summary(total, stageTimes, fileTimes, performance.now() - started);
  return total.failed + total.cancelled === 0;
};

const choice = choiceOf(process.argv.slice(2));
if (typeof choice === "string") {
  console.error(choice);
  process.exitCode = USAGE;
} else process.exitCode = (await main(choice)) ? 0 : 1;
