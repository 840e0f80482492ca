import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

/** The script that is `ferry`, of this tree. */
export const MAIN = fileURLToPath(new URL("../../src/surface/cli/main.ts", import.meta.url));

/** The same as a user types it: it finds the pinned Node first. */
export const COMMAND = fileURLToPath(new URL("../../bin/ferry.mjs", import.meta.url));

/** `ferry ARGS` to its end. */
export const ferryEnd = async (args: readonly string[]): Promise<Readonly<{ status: number; said: string }>> => {
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (text: string) => {
      said += text;
    });
  const [status] = await once(child, "close");
  return { status, said };
};

/** The same. @throws with what it said where it fails */
export const ferry = async (args: readonly string[]): Promise<string> => {
  const { status, said } = await ferryEnd(args);
  if (status !== 0) throw new Error(`ferry ${args[0]} ended with ${status}: ${said}`);
  return said;
};
