/**
 * The official images that compose.yaml and the Dockerfile name: pulled, or, where no registry of images can be reached, stood
 * in for by images of the same name that are made of Debian's packages and of what `ferry stack` runs.
 */
import { createHash } from "node:crypto";
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Report } from "#tools/stack/artefacts.ts";
import { LOG4J } from "#tools/stack/java.ts";
import { ensureKafka } from "#tools/stack/kafkaArtefact.ts";
import { ensureMongod } from "#tools/stack/mongodArtefact.ts";
import { VERSIONS } from "#tools/stack/pins.ts";
import { tempFolder } from "../harness/folders.ts";
import { attempt, docker, must, Unavailable } from "./command.ts";

const RECIPES = join(import.meta.dirname, "standins");
const LABEL = "ferry.stand-in";
const DEBIAN = "debian:bookworm-slim";
const MONGOSH = "2.12.0";
/** An unreachable registry fails immediately; a reachable one may take its time. */
const PULL_MS = 10 * 60_000;

type StandIn = Readonly<{ image: string; fill: (context: string, report: Report) => Promise<void> }>;

const npmFolder = async (): Promise<string> => join(await must("npm", ["root", "-g"]), "npm");

const STAND_INS: Readonly<Record<string, StandIn>> = {
  node: {
    image: "node:24-bookworm-slim",
    fill: async (context) => {
      cpSync(process.execPath, join(context, "node"));
      cpSync(await npmFolder(), join(context, "npm"), { recursive: true });
    },
  },
  mongo: {
    image: "mongo:8.0",
    fill: async (context, report) => {
      const mongod = await ensureMongod(report);
      cpSync(mongod === "mongod" ? await must("sh", ["-c", "command -v mongod"]) : mongod, join(context, "mongod"));
      cpSync(process.execPath, join(context, "node"));
      const mongosh = join(context, "mongosh");
      mkdirSync(mongosh);
      writeFileSync(join(mongosh, "package.json"), "{}");
      const args = ["install", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
      await must("npm", [...args, `mongosh@${MONGOSH}`], { cwd: mongosh });
    },
  },
  kafka: {
    image: `apache/kafka:${VERSIONS.kafka}`,
    fill: async (context, report) => {
      cpSync(await ensureKafka(report), join(context, "libs"), { recursive: true });
      writeFileSync(join(context, "log4j2.xml"), LOG4J);
    },
  },
};

/** Changes when a stand-in has to be rebuilt. */
const recipeHash = (name: string): string => {
  const folder = join(RECIPES, name);
  const hash = createHash("sha256").update(`${process.version} ${JSON.stringify(VERSIONS)} ${MONGOSH}`);
  for (const file of readdirSync(folder).sort()) hash.update(file).update(readFileSync(join(folder, file)));
  return hash.digest("hex").slice(0, 16);
};

/** Undefined: there is no such image. Empty: it is not one of ours. */
const labelOf = async (image: string): Promise<string | undefined> => {
  const format = `{{ index .Config.Labels "${LABEL}" }}`;
  const { code, stdout } = await attempt("docker", ["image", "inspect", "--format", format, image]);
  return code === 0 ? stdout.trim().replace("<no value>", "") : undefined;
};

/** Settings of this machine's apt that a build needs as much, such as those about mirrors and clocks. */
const aptSettings = async (): Promise<string> =>
  (await must("apt-config", ["dump"]))
    .split("\n")
    .filter((line) => /^Acquire::(Check-|https?::|Retries)/.test(line))
    .join("\n");

/** The mirror that this machine's apt uses for the suite; debootstrap's own choice where it uses none. */
const mirror = async (): Promise<readonly string[]> => {
  const { stdout } = await attempt("apt-get", ["indextargets", "--format", "$(CODENAME) $(REPO_URI)"]);
  const found = stdout.split("\n").find((line) => line.startsWith("bookworm "));
  return found === undefined ? [] : [found.slice("bookworm ".length)];
};

const importDebian = async (report: Report): Promise<void> => {
  if ((await labelOf(DEBIAN)) !== undefined) return;
  report(`${DEBIAN}: standing in for it, by debootstrap`);
  using folder = tempFolder();
  const root = join(folder.path, "root");
  await must("debootstrap", ["--variant=minbase", "bookworm", root, ...(await mirror())]);
  writeFileSync(join(root, "etc/apt/apt.conf.d/90host"), `${await aptSettings()}\n`);
  const archive = join(folder.path, "root.tar");
  await must("tar", [
    "-C",
    root,
    "--exclude=./var/cache/apt/*",
    "--exclude=./var/lib/apt/lists/*",
    "-cf",
    archive,
    ".",
  ]);
  await docker("import", "--change", `LABEL ${LABEL}=debootstrap`, archive, DEBIAN);
};

const build = async (name: string, { image, fill }: StandIn, label: string, report: Report): Promise<void> => {
  if (process.platform !== "linux" || process.arch !== "x64" || process.getuid?.() !== 0)
    throw new Unavailable(
      `${image} cannot be pulled, and it can be stood in for only by root on Linux x64; pull it where a registry can be reached, and load it here`,
    );
  await importDebian(report);
  report(`${image}: building its stand-in`);
  using folder = tempFolder();
  const context = join(folder.path, name);
  cpSync(join(RECIPES, name), context, { recursive: true });
  await fill(context, report);
  await must("docker", ["build", "-q", "--label", `${LABEL}=${label}`, "-t", image, context], {
    env: { DOCKER_BUILDKIT: "0" },
  });
};

/** Makes sure that every base is there. @returns those that are stand-ins. @throws Unavailable, FERRY_STACK_*. */
export const ensureBases = async (report: Report): Promise<readonly string[]> => {
  const stoodIn: string[] = [];
  for (const [name, standIn] of Object.entries(STAND_INS)) {
    const { image } = standIn;
    const [found, wanted] = [await labelOf(image), recipeHash(name)];
    if (found === "") {
      report(`${image}: official`);
      continue;
    }
    if (found === undefined && (await attempt("docker", ["pull", "-q", image], { timeoutMs: PULL_MS })).code === 0) {
      report(`${image}: pulled`);
      continue;
    }
    if (found !== wanted) await build(name, standIn, wanted, report);
    stoodIn.push(image);
  }
  return stoodIn;
};
