import { isFerry } from "#errors/ferryError.ts";

/** Human text on stdout; with `--json` the same facts as one JSON value. */
export const print = (text: string): void => {
  process.stdout.write(`${text}\n`);
};

/** One clear sentence with code and remedy on stderr. Returns the exit status. */
export const printFailure = (error: Error): number => {
  if (!isFerry(error)) {
    process.stderr.write(`ferry: FERRY_BUG: ${error.stack ?? error.message}\n`);
    return 70;
  }
  process.stderr.write(`ferry: ${error.code}: ${error.detail}\n  ${error.entry.hint}\n`);
  return error.entry.exit;
};
