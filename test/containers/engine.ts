import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Report } from "#tools/stack/artefacts.ts";
import { cacheFolder } from "#tools/stack/disk.ts";
import { Server } from "#tools/stack/server.ts";
import { tempFolder } from "../harness/folders.ts";
import { aptInstall, attempt, Unavailable } from "./command.ts";

/** A Docker engine for the tests: one that runs already, or one of our own that ends with its scope. */
export type Engine = AsyncDisposable & Readonly<{ version: string; own: boolean }>;

/** Debian's packages: the engine, Compose v1, and what makes a base image without a registry. */
const PACKAGES = ["docker.io", "docker-compose", "debootstrap"];

const versionOf = async (host?: string): Promise<string | undefined> => {
  const env = host === undefined ? {} : { DOCKER_HOST: host };
  const options = { env, timeoutMs: 15_000 };
  const { code, stdout } = await attempt("docker", ["version", "--format", "{{.Server.Version}}"], options);
  return code === 0 ? stdout.trim() : undefined;
};

const isRoot = (): boolean => process.platform === "linux" && process.getuid?.() === 0;
const runs = async (command: string): Promise<boolean> =>
  (await attempt(command, ["--version"], { timeoutMs: 15_000 })).failure !== "not found";

/** What the engine needs and is not here. */
const missing = async (): Promise<boolean> =>
  !((await runs("dockerd")) && (await runs("docker-compose")) && (await runs("debootstrap")));

/** Why no engine can be had here, and what to do; undefined where one can. */
const obstacle = async (mayInstall: boolean): Promise<string | undefined> => {
  const remedy = "start one, or let DOCKER_HOST name one";
  if (!isRoot()) return `no Docker engine answers, and only root on Linux may start one: ${remedy}`;
  if (await runs("dockerd")) return undefined;
  if (!(await runs("apt-get"))) return `no Docker engine answers, and dockerd is not installed: ${remedy}`;
  return mayInstall
    ? undefined
    : `no Docker engine answers, and dockerd is not installed: ${remedy}, or let --install get Debian's ${PACKAGES.join(", ")}`;
};

const running = async (): Promise<Engine | undefined> => {
  const version = await versionOf();
  return version === undefined ? undefined : { version, own: false, [Symbol.asyncDispose]: async () => undefined };
};

/** Its images stay in the cache, so that the next run finds them; everything else is in a temporary folder. */
const startOwn = async (): Promise<Engine> => {
  const folder = tempFolder();
  const host = `unix://${join(folder.path, "docker.sock")}`;
  const dataRoot = join(cacheFolder(), "docker");
  mkdirSync(dataRoot, { recursive: true });
  const args = ["--host", host, "--data-root", dataRoot, "--exec-root", join(folder.path, "exec")];
  const server = new Server({
    name: "dockerd",
    command: "dockerd",
    args: [...args, "--pidfile", join(folder.path, "docker.pid")],
    cwd: folder.path,
    logFile: join(folder.path, "dockerd.log"),
    ports: [],
    ready: async () => ((await versionOf(host)) === undefined ? "it does not answer" : true),
    readyTimeoutMs: 60_000,
    stopTimeoutMs: 60_000,
  });
  try {
    await server.start();
  } catch (error) {
    throw new Unavailable(`dockerd cannot be started here: ${error instanceof Error ? error.message : error}`);
  }
  process.env["DOCKER_HOST"] = host; // for every docker and compose that is started from here
  return {
    version: (await versionOf()) ?? "",
    own: true,
    [Symbol.asyncDispose]: async () => {
      await server.stop();
      delete process.env["DOCKER_HOST"];
      folder[Symbol.dispose]();
    },
  };
};

/**
 * The engine that answers, else one that is started by hand, as root may. Missing packages are installed only when asked.
 * @throws Unavailable in one sentence, with what to do.
 */
export const openEngine = async (mayInstall: boolean, report: Report): Promise<Engine> => {
  const found = await running();
  if (found !== undefined) return found;
  const reason = await obstacle(mayInstall);
  if (reason !== undefined) throw new Unavailable(reason);
  if (mayInstall && (await runs("apt-get")) && (await missing())) await aptInstall(PACKAGES, report);
  return (await running()) ?? startOwn(); // where there is a service manager, the package has started one
};
