import { FerryError, isFerry } from "#errors/ferryError.ts";

/** Human text on stdout; with `--json` the same facts as one JSON value. */
export const print = (text: string): void => {
  process.stdout.write(`${text}\n`);
};

const bigintAsText = (_key: string, value: unknown): unknown => (typeof value === "bigint" ? String(value) : value);

/** A failure in one line of JSON: `code`, `detail`, `hint`, `exit` and `facts`. Any other error is a bug of ferry. */
export const failureAsJson = (error: Error): string => {
  const failure = isFerry(error)
    ? error
    : new FerryError("FERRY_BUG", error.message, { facts: { stack: error.stack ?? null } });
  const { code, detail, entry, facts } = failure;
  return JSON.stringify({ code, detail, hint: entry.hint, exit: entry.exit, facts }, bigintAsText);
};

/** One clear sentence with code and remedy on stderr, or with `json` the same as one line of JSON. Returns the exit status. */
export const printFailure = (error: Error, json: boolean): number => {
  const exit = isFerry(error) ? error.entry.exit : 70;
  if (json) process.stderr.write(`${failureAsJson(error)}\n`);
  else if (isFerry(error)) process.stderr.write(`ferry: ${error.code}: ${error.detail}\n  ${error.entry.hint}\n`);
  else process.stderr.write(`ferry: FERRY_BUG: ${error.stack ?? error.message}\n`);
  return exit;
};
