import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { cacheFolder } from "#tools/stack/disk.ts";

const run = promisify(execFile);
const PYMONGO = "pymongo==4.15.3";
/** A package index that does not answer must not hold a test. */
const INSTALL_MS = 90_000;

/** A Python with pymongo, kept in the cache folder; why there is none where it cannot be had. */
export const pythonWithPymongo = async (): Promise<{ python: string } | { missing: string }> => {
  const folder = join(cacheFolder(), "python");
  const python = join(folder, "bin", "python");
  try {
    if (!existsSync(python)) await run("python3", ["-m", "venv", folder], { timeout: INSTALL_MS });
    await run(python, ["-c", "import pymongo"]).catch(() =>
      run(python, ["-m", "pip", "install", "--quiet", PYMONGO], { timeout: INSTALL_MS }),
    );
    return { python };
  } catch (error) {
    const [reason = ""] = String((error as { stderr?: string }).stderr || error)
      .trim()
      .split("\n");
    return { missing: `no Python with pymongo: ${reason}` };
  }
};

/** Runs a script to its end. */
export const runPython = async (
  python: string,
  args: readonly string[],
): Promise<Readonly<{ status: number; out: string }>> => {
  try {
    return { status: 0, out: (await run(python, [...args])).stdout };
  } catch (error) {
    const { code, stdout = "", stderr = "" } = error as { code?: number; stdout?: string; stderr?: string };
    return { status: Number(code ?? -1), out: stdout + stderr };
  }
};
