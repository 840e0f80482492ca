import { cpSync, existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Report } from "#tools/stack/artefacts.ts";
import { cacheFolder, publishFolder, temporaryBeside } from "#tools/stack/disk.ts";
import { attempt, must } from "./command.ts";

/** How each Compose is typed; undefined where it cannot be had. */
export type ComposeClis = Readonly<{ v1: readonly string[] | undefined; v2: readonly string[] | undefined }>;

/** The one that is built where none is installed. */
const MODULE = "github.com/docker/compose/v2";
const VERSION = "v2.40.3";

const major = async ([command = "", ...args]: readonly string[]): Promise<number> => {
  const { code, stdout } = await attempt(command, [...args, "version", "--short"], { timeoutMs: 30_000 });
  return code === 0 ? Number(/\d+/.exec(stdout)?.[0]) : 0;
};

/** Builds Compose v2 from its Go module into the cache; `go install` refuses its replace directives. */
const build = async (home: string, report: Report): Promise<void> => {
  report(`Compose ${VERSION}: building it from its Go module, 2 minutes`);
  const { Dir } = JSON.parse(await must("go", ["mod", "download", "-json", `${MODULE}@${VERSION}`])) as { Dir: string };
  const folder = await temporaryBeside(home);
  const source = join(folder, "source");
  cpSync(Dir, source, { recursive: true });
  await must("chmod", ["-R", "u+w", source]);
  const flags = `-s -w -X ${MODULE}/internal.Version=${VERSION}`;
  await must("go", ["build", "-trimpath", "-ldflags", flags, "-o", join(folder, "docker-compose"), "./cmd"], {
    cwd: source,
  });
  await must("rm", ["-r", source]);
  mkdirSync(cacheFolder(), { recursive: true });
  await publishFolder(folder, home);
};

/** Finds both Composes: `docker-compose` as v1 was typed, `docker compose` as v2 is, or v2's own binary. */
export const findComposeClis = async (report: Report): Promise<ComposeClis> => {
  const v1 = (await major(["docker-compose"])) === 1 ? ["docker-compose"] : undefined;
  for (const typed of [["docker", "compose"], ["docker-compose"]])
    if ((await major(typed)) >= 2) return { v1, v2: typed };
  const home = join(cacheFolder(), `compose-${VERSION}`);
  const binary = join(home, "docker-compose");
  if (!existsSync(binary)) {
    if ((await attempt("go", ["version"])).code !== 0) return { v1, v2: undefined };
    await build(home, report);
  }
  return { v1, v2: [binary] };
};
