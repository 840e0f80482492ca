import { systemClock } from "#base/flow/clock.ts";
import { waitFor } from "#base/flow/retry.ts";
import { imbalance, NO_COUNTS } from "#base/flow/types.ts";
import { attempt, docker, must } from "./command.ts";

/** One name for all: the containers' names are fixed, so there is one such stack at a time on an engine. */
export const PROJECT = "ferry-test";

export type Version = "v1" | "v2";

/** How a Compose is typed; the runner has looked for both. */
const typed = (version: Version): readonly string[] | undefined => {
  const found = process.env[`FERRY_TEST_COMPOSE_${version.toUpperCase()}`];
  return found === undefined ? undefined : (JSON.parse(found) as string[]);
};

/** Reason to skip a test of this Compose; false where it can be typed. */
export const lacks = (version: Version): string | false =>
  typed(version) === undefined ? `there is no Compose ${version} here` : false;

/** compose.yaml as a project of the tests, with what a person would set in the environment. Its end removes everything. */
export class Project implements AsyncDisposable {
  readonly #files: readonly string[];
  #compose: readonly string[];

  constructor(version: Version, files: readonly string[] = []) {
    this.#files = files.length === 0 ? [] : ["compose.yaml", ...files].flatMap((file) => ["-f", file]);
    this.#compose = typed(version) ?? [];
  }

  /** Continues with the other Compose on the same containers and volumes. */
  use(version: Version): void {
    this.#compose = typed(version) ?? [];
  }

  compose(...args: readonly string[]): Promise<string> {
    const [command = "", ...before] = this.#compose;
    return must(command, [...before, "-p", PROJECT, ...this.#files, ...args]);
  }

  /** `up --build -d`, and waits until every container is healthy. */
  async up(...args: readonly string[]): Promise<void> {
    await this.compose("up", "--build", "-d", ...args);
    await this.healthy();
  }

  /** Containers of the project, those of one service where it is named. */
  async containers(service?: string): Promise<readonly string[]> {
    const filters = [`label=com.docker.compose.project=${PROJECT}`];
    if (service !== undefined) filters.push(`label=com.docker.compose.service=${service}`);
    const names = await docker("ps", ...filters.flatMap((one) => ["--filter", one]), "--format", "{{.Names}}");
    return names.split("\n").filter((name) => name !== "");
  }

  async healthy(): Promise<void> {
    const filter = `label=com.docker.compose.project=${PROJECT}`;
    await waitFor(
      async () => {
        const lines = (await docker("ps", "-a", "--filter", filter, "--format", "{{.Names}}: {{.Status}}")).split("\n");
        // What makes secrets and the like has done so when it has ended.
        const waiting = lines.filter((line) => !/\(healthy\)|: Exited \(0\)/.test(line));
        return waiting.length === 0 ? { done: undefined } : { seen: waiting.join(", ") };
      },
      { what: "all containers to be healthy", clock: systemClock, timeoutMs: 180_000, everyMs: 500 },
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (process.env["FERRY_TEST_KEEP"] === "1") return;
    await attempt(this.#compose[0] ?? "", [
      ...this.#compose.slice(1),
      ...["-p", PROJECT, "--profile", "replica-set", "--profile", "cognito", ...this.#files, "down", "-v", "-t", "5"],
    ]);
  }
}

/** Volumes without a name, which a container leaves behind unless they are removed with it. */
export const unnamedVolumes = async (): Promise<ReadonlySet<string>> =>
  new Set((await docker("volume", "ls", "-q")).split("\n").filter((name) => /^[0-9a-f]{64}$/.test(name)));

/** Runs a command in a container. @returns what it printed */
export const inContainer = (container: string, ...command: readonly string[]): Promise<string> =>
  docker("exec", container, ...command);

const HASH = "JSON.stringify(db.runCommand({ dbHash: 1, collections: ['users'] }).collections)";

/** What is in test.users, as the server's own digest over the documents in order of `_id`. */
export const digest = (container: string, host: string): Promise<string> =>
  inContainer(container, "mongosh", "--quiet", `mongodb://${host}`, "--eval", HASH);

/** Waits until both databases hold the same documents, byte for byte. */
export const converged = (source = "mongo-source", target = "mongo-target"): Promise<string> =>
  waitFor(
    async () => {
      const [one, other] = await Promise.all([digest(source, source), digest(target, target)]);
      return one === other ? { done: one } : { seen: `${source} ${one}, ${target} ${other}` };
    },
    { what: "both databases to be equal", clock: systemClock, timeoutMs: 120_000, everyMs: 500 },
  );

type Lane = Readonly<{ counts: Readonly<Record<string, number>> }>;

/** `ferry status --json` as typed in a container. */
export const status = async (
  container = "mongo-source",
): Promise<Readonly<{ workers: readonly { id: string; alive: boolean }[]; lanes: readonly Lane[] }>> => {
  const { stdout } = await attempt("docker", ["exec", container, "status", "--json"]);
  return JSON.parse(stdout);
};

/** Lanes whose books do not balance: received = applied + superseded + filtered + dead. */
export const unbalanced = ({ lanes }: Readonly<{ lanes: readonly Lane[] }>): readonly Lane[] =>
  lanes.filter(({ counts }) => imbalance({ ...NO_COUNTS, ...counts }) !== 0);
