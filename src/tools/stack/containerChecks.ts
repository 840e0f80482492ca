import { existsSync, readFileSync } from "node:fs";
import { parseEnv } from "node:util";
import { isPortFree } from "./ports.ts";
import { runProgram } from "./process.ts";

/** One thing that compose.yaml needs of this machine. */
export type ContainerCheck = Readonly<{ level: "ok" | "fail"; sentence: string; remedy?: string }>;

/** Who is published where by compose.yaml, and the variable that moves it. */
export const PUBLISHED = [
  { service: "mongo-source", port: 27017, env: "MONGO_SOURCE_PORT" },
  { service: "mongo-target", port: 27018, env: "MONGO_TARGET_PORT" },
  { service: "kafka", port: 29092, env: "KAFKA_PORT" },
  { service: "kafka-connect", port: 8083, env: "CONNECT_PORT" },
] as const;

/** The official images of MongoDB, Kafka and Node are all published for these. */
const ARCHITECTURES: readonly string[] = ["amd64", "arm64"];

/** What the stack uses when it idles is half of this; what it may use is limited in compose.yaml. */
const NEEDED_GIB = 3;

const ANSWER_MS = 15_000;

const ok = (sentence: string): ContainerCheck => ({ level: "ok", sentence });
const fail = (sentence: string, remedy: string): ContainerCheck => ({ level: "fail", sentence, remedy });

const docker = (args: readonly string[]) => runProgram("docker", args, { timeoutMs: ANSWER_MS });

/** The architecture's name as Docker says it; `uname` and `docker info` have others. */
const architecture = (name: string): string =>
  ({ x86_64: "amd64", aarch64: "arm64" })[name as "x86_64" | "aarch64"] ?? name;

/** Can the images run there, and is there room for them? `facts` is what `docker info` says, split. */
export const checkEngine = (facts: Readonly<{ version: string; arch: string; memory: number }>): ContainerCheck[] => {
  const arch = architecture(facts.arch);
  const gib = facts.memory / 2 ** 30;
  return [
    ARCHITECTURES.includes(arch)
      ? ok(`Docker engine ${facts.version} on ${arch}`)
      : fail(
          `the Docker engine runs on ${arch}, and the official images are for ${ARCHITECTURES.join(" and ")}`,
          "Let DOCKER_HOST name an engine on one of these; without containers `ferry stack up` takes the servers that are installed.",
        ),
    gib >= NEEDED_GIB
      ? ok(`${gib.toFixed(1)} GiB of memory`)
      : fail(
          `the Docker engine has ${gib.toFixed(1)} GiB of memory, and the stack needs ${NEEDED_GIB} GiB`,
          "Give Docker's machine more memory, or lower mem_limit and KAFKA_HEAP_OPTS in an override file of compose.yaml.",
        ),
  ];
};

const checkCompose = async (): Promise<ContainerCheck> => {
  for (const [command, ...args] of [
    ["docker", "compose", "version", "--short"],
    ["docker-compose", "version", "--short"],
  ] as const) {
    const { code, stdout } = await runProgram(command, args, { timeoutMs: ANSWER_MS });
    if (code === 0) return ok(`${command === "docker" ? "docker compose" : command} ${stdout.trim()}`);
  }
  return fail(
    "neither `docker compose` nor `docker-compose` runs",
    "Install Docker's compose plugin, or the package docker-compose.",
  );
};

/** As compose sees them: the environment wins over `.env`. */
const settings = (): NodeJS.ProcessEnv => ({
  ...(existsSync(".env") ? parseEnv(readFileSync(".env", "utf8")) : {}),
  ...process.env,
});

/** Is the port free, or held by the stack's own container? */
const checkPort = async (
  { service, port: usual, env }: (typeof PUBLISHED)[number],
  given: NodeJS.ProcessEnv,
): Promise<ContainerCheck> => {
  const port = Number(given[env] || usual);
  const what = `port ${port} (${service})`;
  if (await isPortFree(port)) return ok(`${what} is free`);
  const { stdout } = await docker(["ps", "--filter", `publish=${port}`, "--format", "{{.Names}}"]);
  if (stdout.trim() === service) return ok(`${what} is published by ${service}, which runs`);
  return fail(
    `${what} is taken by ${stdout.trim() || "another program"}`,
    `Stop it, or choose another port: ${env}=${port + 1000} docker compose up --build`,
  );
};

/** Ports of this machine matter only where the engine runs on it. */
const isLocal = (host: string | undefined): boolean => host === undefined || host === "" || host.startsWith("unix:");

/** Preflight for `docker compose up --build`, each failure with its remedy. Nothing is started. */
export const checkContainers = async (): Promise<readonly ContainerCheck[]> => {
  const info = await docker(["info", "--format", "{{.ServerVersion}}|{{.Architecture}}|{{.MemTotal}}"]);
  const [version = "", arch = "", memory = ""] = info.stdout.trim().split("|");
  if (info.failure === "not found")
    return [fail("docker is not installed", "Install Docker; without containers use `ferry stack up`.")];
  if (info.code !== 0 || version === "")
    return [
      fail(
        "no Docker engine answers",
        "Start it (`systemctl start docker`, Docker Desktop), or let DOCKER_HOST name one; without containers use `ferry stack up`.",
      ),
    ];
  const given = settings();
  return [
    ...checkEngine({ version, arch, memory: Number(memory) }),
    await checkCompose(),
    ...(isLocal(process.env["DOCKER_HOST"])
      ? await Promise.all(PUBLISHED.map((published) => checkPort(published, given)))
      : []),
  ];
};
