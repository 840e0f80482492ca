import { fstatSync, readFileSync } from "node:fs";

/** What can be done with what the output goes to: draw in place, write lines for a person, or lines for a program. */
export type TerminalKind = "drawn" | "lines" | "none";

/** A live view needs this much room. */
const LEAST_COLUMNS = 20;
const LEAST_ROWS = 4;

const device = (fd: number): number | undefined => {
  try {
    return fstatSync(fd).rdev;
  } catch {
    return undefined;
  }
};

/**
 * A view is drawn only where both streams are one terminal: it would be in the way of `ferry verify | less`, which has the terminal to
 * itself.
 */
export const terminalKind = (
  env: Readonly<Record<string, string | undefined>>,
  { stdout, stderr }: Pick<NodeJS.Process, "stdout" | "stderr">,
): TerminalKind => {
  if (!stdout.isTTY || !stderr.isTTY || device(1) !== device(2)) return "none";
  const term = env["TERM"] ?? "";
  const hasRoom = stderr.columns >= LEAST_COLUMNS && stderr.rows >= LEAST_ROWS;
  return term === "" || term === "dumb" || !hasRoom ? "lines" : "drawn";
};

/** Does the terminal belong to another process group now (`ferry run &`, Ctrl-Z)? Known on Linux alone. */
export const isInBackground = (): boolean => {
  try {
    const stat = readFileSync("/proc/self/stat", "latin1");
    const [, , group, , , owner] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return Number(owner) > 0 && group !== owner; // a terminal of another container tells nothing
  } catch {
    return false;
  }
};
