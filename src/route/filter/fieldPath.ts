import { FerryError } from "#base/errors/ferryError.ts";

/**
 * Paths of field rules. `.` separates names; `\.` is a dot and `\\` a backslash within a name; a name of digits is written
 * with a backslash first (`stats.\2024`), so that it is not taken for an index: paths apply to array elements.
 */
const STEP = /\\([\\.\d])|([^\\])/gsuy;

/** @throws FERRY_CONFIG */
export const refuseRule = (sentence: string): never => {
  throw new FerryError("FERRY_CONFIG", sentence);
};

/** The names of a path as the configuration has it. `rule`: which rule, for the sentence. @throws FERRY_CONFIG */
export const fieldNames = (path: string, rule: string): readonly string[] => {
  const names = [""];
  let isQuoted = false;
  let read = 0;
  const told = `${rule}: ${JSON.stringify(path)}`;
  const end = (): void => {
    const name = names.at(-1) ?? "";
    if (name === "" || name.includes("\0") || !name.isWellFormed()) refuseRule(`${told} is not a path`);
    if (/^\d+$/.test(name) && !isQuoted)
      refuseRule(
        `${told} names an array index; paths apply to array elements. Write a field with that name as \\${name}`,
      );
  };
  for (const [step, quoted, plain = ""] of path.matchAll(STEP)) {
    read += step.length;
    if (plain === ".") {
      end();
      names.push("");
      isQuoted = false;
    } else names[names.length - 1] += quoted ?? plain;
    isQuoted ||= quoted !== undefined;
  }
  if (read < path.length) refuseRule(`${told}: write \\\\ for a backslash in a name, \\. for a dot`);
  end();
  return names;
};

/** A name as a path spells it. */
export const spellName = (name: string): string => {
  const spelled = name.replace(/[\\.]/g, "\\$&");
  return /^\d+$/.test(spelled) ? `\\${spelled}` : spelled;
};
