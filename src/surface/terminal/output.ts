import { FerryError, isFerry } from "#base/errors/ferryError.ts";
import { valueWithoutSecrets, withoutSecrets } from "#base/errors/secrets.ts";
import { fileError } from "#base/errors/systemError.ts";
import type { Logger } from "#base/observe/log.ts";
import { writeLines } from "./bottom.ts";

const write = (text: string): void => writeLines(process.stdout, `${text}\n`);

const bigintAsText = (_key: string, value: unknown): unknown => (typeof value === "bigint" ? String(value) : value);

/** Ferry's own words on stdout. */
export const print = (text: string): void => write(withoutSecrets(text));

/** The same facts as one JSON value (`--json`); `space` as for JSON.stringify. */
export const printJson = (value: unknown, space?: number): void =>
  write(JSON.stringify(valueWithoutSecrets(value), bigintAsText, space));

/** What a user's documents and records hold, as it is. */
export const printData = write;

/** Ferry's own words on stderr, beside a command's output. */
export const printAside = (text: string): void => {
  writeLines(process.stderr, `${withoutSecrets(text)}\n`);
};

/** Any other error is a bug of ferry; of it, text and trace alone are shown. */
const asFerry = (error: Error): FerryError =>
  isFerry(error)
    ? error
    : (fileError(error) ?? new FerryError("FERRY_BUG", error.message, { facts: { stack: error.stack ?? null } }));

/** A failure in one line of JSON: `code`, `detail`, `hint`, `exit` and `facts`. */
export const failureAsJson = (error: Error): string => {
  const { code, detail, entry, facts } = asFerry(error);
  return JSON.stringify({ code, detail, hint: entry.hint, exit: entry.exit, facts }, bigintAsText);
};

/** One clear sentence with code and remedy on stderr, or with `json` the same as one line of JSON. Returns the exit status. */
export const printFailure = (error: Error, json: boolean): number => {
  const { code, detail, entry } = asFerry(error);
  const isBug = code === "FERRY_BUG" && !isFerry(error);
  if (json) writeLines(process.stderr, `${failureAsJson(error)}\n`);
  else printAside(`ferry: ${code}: ${isBug ? (error.stack ?? error.message) : `${detail}\n  ${entry.hint}`}`);
  return entry.exit;
};

const aside = ({ err }: Parameters<Logger["warn"]>[0], sentence: string): void =>
  printAside(err === undefined ? sentence : `${sentence}: ${err}`);

/** What a person's command waits for, as sentences beside its output. */
export const plainLogger: Logger = { debug: () => undefined, info: aside, warn: aside, error: aside };
