import { readFileSync, statSync } from "node:fs";
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

/** What each file holds, as last read: a pipe (`--source-file <(pass show db)`) gives its text only once, and settings are asked for several times. */
const lines = new Map<string, string>();
/** The file of each line. Settings are handed on as lines, and a password may be changed in its file while they are in use. */
const files = new Map<string, string>();

/** The file that a line was read from; undefined where it is from elsewhere. */
export const fileOf = (line: string): string | undefined => files.get(line);

/** Notes where a line is from: also for a thread, which is handed the line alone. */
export const noteFile = (line: string, path: string): void => {
  lines.set(path, line);
  files.set(line, path);
};

/** @throws what `refuse` makes of the reason; never with its content */
const oneLine = (path: string, refuse: (reason: string) => FerryError): string => {
  const line = readTextFile(path, refuse)
    .replace(/^\u{feff}/u, "")
    .trim();
  if (line === "") throw refuse("it is empty");
  if (/[\r\n]/.test(line)) throw refuse("it has more than one line");
  return line;
};

/**
 * The one line of a file, without its line end and the spaces around it.
 * @param name what names the file, such as `--source-file`
 * @throws FERRY_USAGE when it cannot be read, is empty or has several lines; never with its content
 */
export const readOneLine = (path: string, name: string): string => {
  const known = lines.get(path);
  if (known !== undefined) return known;
  if (path === "") throw new FerryError("FERRY_USAGE", `${name} is empty`);
  const line = oneLine(path, (reason) => new FerryError("FERRY_USAGE", `${name} ${path}: ${reason}`));
  noteFile(line, path);
  return line;
};

/**
 * What the file of a line holds now; the line itself where it is from elsewhere. As last read where the file has nothing to
 * give: it is a pipe, or is just being written.
 */
export const asOfNow = (line: string): string => {
  const path = files.get(line);
  if (path === undefined) return line;
  try {
    if (statSync(path).isFile())
      noteFile(
        oneLine(path, (reason) => new FerryError("FERRY_FILE", `${path}: ${reason}`)),
        path,
      );
  } catch {
    // as last read: a login with it is refused and said, and the file is read again with the next one
  }
  return lines.get(path) ?? line;
};
