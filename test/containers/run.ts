/**
 * `npm run test:containers [-- FILE ...]`: finds or starts a Docker engine, makes sure of its base images, and runs these tests one
 * after the other. `--install` lets root get Debian's packages; `--if-possible` makes it no failure that there is no engine.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { checkContainers } from "#tools/stack/containerChecks.ts";
import { cacheFolder, withLock } from "#tools/stack/disk.ts";
import { runFiles, summary, type Timed } from "../harness/suite.ts";
import { ensureBases } from "./bases.ts";
import { Unavailable } from "./command.ts";
import { findComposeClis } from "./composeCli.ts";
import { openEngine } from "./engine.ts";
import { removeLeftovers } from "./leftovers.ts";

const FOLDER = "test/containers";
const FILE_TIMEOUT_MS = 12 * 60_000;
/** Two runs on one machine would start two engines on the same images. */
const LOCK_MS = 60 * 60_000;
/** Where Debian and its relatives keep certificate authorities that were added to the usual ones. */
const ADDED_CAS = "/usr/local/share/ca-certificates";

const say = (line: string): void => console.log(`containers: ${line}`);

/** What a machine behind an inspecting proxy trusts beside the usual: builds must trust it as well. */
const addedAuthorities = (): string =>
  existsSync(ADDED_CAS)
    ? readdirSync(ADDED_CAS)
        .filter((name) => name.endsWith(".crt"))
        .map((name) => readFileSync(join(ADDED_CAS, name), "utf8"))
        .join("")
    : "";

const preflight = async (): Promise<void> => {
  const failed = (await checkContainers()).filter(({ level }) => level === "fail");
  // Compose may be one that was built for these tests, which `docker compose` does not find.
  const first = failed.find(({ sentence }) => !sentence.includes("docker-compose"));
  if (first !== undefined) throw new Unavailable(`${first.sentence}. ${first.remedy}`);
};

const main = async (args: readonly string[]): Promise<boolean> => {
  const started = performance.now();
  await using engine = await openEngine(args.includes("--install"), say);
  say(`Docker engine ${engine.version}${engine.own ? ", started for these tests" : ""}`);
  const left = await removeLeftovers(engine.own);
  if (left.length > 0) say(`an earlier run was killed: ${left.join(", ")} removed`);
  await preflight();
  const standIns = await ensureBases(say);
  if (standIns.length > 0)
    say(
      `STAND-INS, not the official images, are under the names ${standIns.join(", ")}: no registry of images is reached`,
    );
  process.env["FERRY_EXTRA_CA"] ??= addedAuthorities();
  const { v1, v2 } = await findComposeClis(say);
  if (v1 === undefined && v2 === undefined)
    throw new Unavailable("neither `docker-compose` nor `docker compose` runs: install one of them");
  if (v1 !== undefined) process.env["FERRY_TEST_COMPOSE_V1"] = JSON.stringify(v1);
  if (v2 !== undefined) process.env["FERRY_TEST_COMPOSE_V2"] = JSON.stringify(v2);
  say(`Compose: v1 ${v1?.join(" ") ?? "is not here"}, v2 ${v2 === undefined ? "is not here" : "is"}`);

  const named = args.filter((arg) => !arg.startsWith("--")).map((path) => relative(process.cwd(), path));
  const all = readdirSync(FOLDER).filter((name) => name.endsWith(".test.ts"));
  const files = all.map((name) => join(FOLDER, name)).filter((file) => named.length === 0 || named.includes(file));
  const times: Timed[] = [];
  const tally = await runFiles(files, 1, times, FILE_TIMEOUT_MS);
  summary(tally, [], times, performance.now() - started);
  return tally.tests > 0 && tally.failed + tally.cancelled === 0;
};

const [, , ...args] = process.argv;
try {
  const passed = await withLock(join(cacheFolder(), "docker.lock"), LOCK_MS, () => main(args));
  process.exitCode = passed ? 0 : 1;
} catch (error) {
  if (!(error instanceof Unavailable)) throw error;
  const skip = args.includes("--if-possible");
  say(skip ? `skipped: ${error.message}` : error.message);
  process.exitCode = skip ? 0 : 69;
}
