import { createHash, randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { access, constants, readdir, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
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

/** The archive's checksums are looked at too: by default only its head is. Its absence, or its refusal, is nothing to be told of. */
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

/** Beside the jars, in the cache; another Java, or another place of the jars, has another one. */
const archiveOf = async (program: string, java: string, libs: string): Promise<string> => {
  const key = createHash("sha256")
    .update(JSON.stringify([await versionOf(java), libs]))
    .digest("hex");
  return join(`${dirname(libs)}-classes`, `${program}-${key.slice(0, 16)}.jsa`);
};

/** Does Java take it? With `-Xshare:on` it refuses to start where it cannot. */
const isWhole = async (record: string, java: string, libs: string): Promise<boolean> => {
  const args = ["-Xshare:on", ...QUIETLY, `-XX:SharedArchiveFile=${record}`, "-cp", `${libs}/*`, "-version"];
  return (await runProgram(java, args, { timeoutMs: 30_000 })).code === 0;
};

/** Gives a whole record its final name. */
const publish = async (archive: string, java: string, libs: string): Promise<void> => {
  const folder = dirname(archive);
  for (const name of await readdir(folder)) {
    if (!name.startsWith(`${basename(archive)}.`)) continue;
    const record = join(folder, name);
    if (await isWhole(record, java, libs)) return rename(record, archive);
    if (systemClock.now() - (await stat(record)).mtimeMs > LEFT_MS) await rm(record, { force: true });
  }
};

/** False where something failed that nothing depends on: there is no such folder, or it is not ours to write. */
const succeeds = async (work: () => Promise<void>): Promise<boolean> => {
  try {
    await work();
    return true;
  } catch (error) {
    if (isFerry(error) || (error as NodeJS.ErrnoException).code !== undefined) return false;
    throw error;
  }
};

/** Is there an archive, or a whole record, which is one from now on? */
export const isRecorded = async (program: string, java: string, libs: string): Promise<boolean> => {
  const archive = await archiveOf(program, java, libs);
  if (!existsSync(archive)) await succeeds(() => publish(archive, java, libs));
  return existsSync(archive);
};

/**
 * @param program one name for each that loads classes of its own
 * @param libs the folder of jars that are its class path
 * @returns options of Java, for `program` alone: they use its archive, or record it where there is none yet
 */
export const sharedClasses = async (program: string, java: string, libs: string): Promise<readonly string[]> => {
  const archive = await archiveOf(program, java, libs);
  if (await isRecorded(program, java, libs)) return [...QUIETLY, `-XX:SharedArchiveFile=${archive}`];
  const mayRecord = await succeeds(async () => {
    await makeFolder(dirname(archive));
    await access(dirname(archive), constants.W_OK);
  });
  const record = `${archive}.${randomBytes(6).toString("hex")}`;
  return mayRecord ? [...QUIETLY, `-XX:ArchiveClassesAtExit=${record}`] : [];
};
