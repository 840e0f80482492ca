import { createHash, randomBytes } from "node:crypto";
import { access, constants, readdir, rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { isFerry } from "#base/errors/ferryError.ts";
import { systemClock } from "#base/flow/clock.ts";
import { makeFolder } from "./disk.ts";
import { runProgram } from "./process.ts";

/**
 * Kafka and Connect load some ten thousand classes: to find, parse and verify them is the greater part of their start. Java can
 * write down at its end what it loaded (an archive of shared classes), and map that file at its next start. So the first start
 * of each program here records, its end leaves a file beside Kafka's jars, and all later starts use it. Nothing depends on it:
 * an archive that is damaged, or was made by another Java or of other jars, is passed by.
 */

/** Java checks the whole archive, by default only its head, and says nothing about one that it refuses. */
const QUIETLY = [
  "-XX:+IgnoreUnrecognizedVMOptions",
  "-XX:+VerifySharedSpaces",
  "-Xlog:cds*=off",
  "-Xlog:class+path=off",
];

/** A record that is not whole for so long was left by a process that was killed, ms. */
const LEFT_MS = 10 * 60_000;

/** Asked once per process: it costs a tenth of a second. */
const versions = new Map<string, Promise<string>>();

const versionOf = (java: string): Promise<string> => {
  const known = versions.get(java);
  if (known !== undefined) return known;
  const asked = runProgram(java, ["-version"], { timeoutMs: 20_000 }).then(({ stderr }) =>
    stderr.replaceAll(/^(NOTE: )?Picked up .*$/gm, ""),
  );
  versions.set(java, asked);
  return asked;
};

/** Archives lie beside the jars, in the cache. `stem`: of their names; another Java, or another place of the jars, has another one. */
type ArchivePlace = Readonly<{ folder: string; stem: string }>;

/** Undefined for a Java without an archive of its own classes, on which all others build; some of these refuse to record. */
const placeOf = async (program: string, java: string, libs: string): Promise<ArchivePlace | undefined> => {
  const version = await versionOf(java);
  if (!/\bsharing\b/.test(version)) return undefined;
  const key = createHash("sha256")
    .update(JSON.stringify([version, libs]))
    .digest("hex");
  return { folder: `${dirname(libs)}-classes`, stem: `${program}-${key.slice(0, 16)}` };
};

/** An archive is named by its size: Java dies of one that was cut short. */
const archiveName = (stem: string, bytes: number): string => `${stem}-${bytes}.jsa`;

/** Undefined where something failed that nothing depends on: there is no such folder, or it is not ours to write. */
const unlessRefused = async <T>(work: () => Promise<T>): Promise<T | undefined> => {
  try {
    return await work();
  } catch (error) {
    if (isFerry(error) || (error as NodeJS.ErrnoException).code !== undefined) return undefined;
    throw error;
  }
};

/** The archive that is there and as long as its name says; any other is removed, and recorded once more. */
const archiveIn = async ({ folder, stem }: ArchivePlace): Promise<string | undefined> => {
  for (const name of await readdir(folder)) {
    if (!name.startsWith(`${stem}-`)) continue;
    const file = join(folder, name);
    if (name === archiveName(stem, (await stat(file)).size)) return file;
    await rm(file, { force: true });
  }
  return undefined;
};

/** Does Java take it? With `-Xshare:on` it refuses to start where it cannot. */
const isWhole = async (record: string, java: string, libs: string): Promise<boolean> => {
  const args = ["-Xshare:on", ...QUIETLY, `-XX:SharedArchiveFile=${record}`, "-cp", `${libs}/*`, "-version"];
  return (await runProgram(java, args, { timeoutMs: 30_000 })).code === 0;
};

/** Gives a whole record its final name. */
const publish = async ({ folder, stem }: ArchivePlace, java: string, libs: string): Promise<string | undefined> => {
  for (const name of await readdir(folder)) {
    if (!name.startsWith(`${stem}.`)) continue;
    const record = join(folder, name);
    const { size, mtimeMs } = await stat(record);
    if (await isWhole(record, java, libs)) {
      const archive = join(folder, archiveName(stem, size));
      await rename(record, archive);
      return archive;
    }
    if (systemClock.now() - mtimeMs > LEFT_MS) await rm(record, { force: true });
  }
  return undefined;
};

const findArchive = async (place: ArchivePlace, java: string, libs: string): Promise<string | undefined> =>
  (await unlessRefused(() => archiveIn(place))) ?? (await unlessRefused(() => publish(place, java, libs)));

/**
 * @param program one name for each that loads classes of its own
 * @param libs the folder of jars that are its class path
 * @returns options of Java, for `program` alone: they use its archive, or record it where there is none yet
 */
export const sharedClasses = async (program: string, java: string, libs: string): Promise<readonly string[]> => {
  const place = await placeOf(program, java, libs);
  if (place === undefined) return [];
  const archive = await findArchive(place, java, libs);
  if (archive !== undefined) return [...QUIETLY, `-XX:SharedArchiveFile=${archive}`];
  const record = await unlessRefused(async () => {
    await makeFolder(place.folder);
    await access(place.folder, constants.W_OK);
    return join(place.folder, `${place.stem}.${randomBytes(6).toString("hex")}`);
  });
  return record === undefined ? [] : [...QUIETLY, `-XX:ArchiveClassesAtExit=${record}`];
};
