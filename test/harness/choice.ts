/** Which tests a command line of `npm test` asks for. */
import { parseArgs } from "node:util";

export type Choice = Readonly<{
  /** `check`, folders below test/, paths of test files; none: everything. */
  parts: readonly string[];
  /** Only tests whose name it matches; undefined: all. */
  pattern: RegExp | undefined;
}>;

/** Exit status for a command line that says nothing that can be done (sysexits.h), as `ferry` has it. */
export const USAGE = 64;

/** The first sentence: what is wrong. Node adds advice on escapes that no part and no pattern needs. */
const reasonOf = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).replace(/\. [\s\S]*/, "");

/** @returns the choice, or why there is none, as a sentence */
export const choiceOf = (args: readonly string[]): Choice | string => {
  try {
    const options = { t: { type: "string", short: "t" } } as const;
    const { values, positionals } = parseArgs({ args: [...args], options, allowPositionals: true });
    return { parts: positionals, pattern: values.t === undefined ? undefined : new RegExp(values.t) };
  } catch (error) {
    return reasonOf(error);
  }
};

/** Why not a single test ran, as a sentence. */
export const nothingRan = ({ parts, pattern }: Choice): string => {
  const named = parts.join(" ");
  if (pattern === undefined) return `no test file matches ${named}`;
  return `no test${named === "" ? "" : ` in ${named}`} has a name that matches ${pattern}`;
};
