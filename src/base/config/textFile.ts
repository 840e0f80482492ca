import { readFileSync } from "node:fs";
import { FerryError } from "#base/errors/ferryError.ts";
import { fileReason } from "#base/errors/systemError.ts";

/** A text file that the operator named. @throws what `refuse` makes of the reason, in words */
export const readTextFile = (path: string, refuse: (reason: string) => Error): string => {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(readFileSync(path));
  } catch (error) {
    throw refuse(fileReason(error));
  }
};

/** What was read once: a pipe (`--source-file <(pass show db)`) gives its text only once, and settings are asked for several times. */
const lines = new Map<string, string>();

/**
 * The one line of a file, without its line end and the spaces around it.
 * @param name what names the file, such as `--source-file`
 * @throws FERRY_USAGE when it cannot be read, is empty or has several lines; never with its content
 */
export const readOneLine = (path: string, name: string): string => {
  const refuse = (reason: string): FerryError => new FerryError("FERRY_USAGE", `${name} ${path}: ${reason}`);
  const known = lines.get(path);
  if (known !== undefined) return known;
  if (path === "") throw new FerryError("FERRY_USAGE", `${name} is empty`);
  const line = readTextFile(path, refuse)
    .replace(/^\u{feff}/u, "")
    .trim();
  if (line === "") throw refuse("it is empty");
  if (/[\r\n]/.test(line)) throw refuse("it has more than one line");
  lines.set(path, line);
  return line;
};
