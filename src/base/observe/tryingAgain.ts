import type { FerryError } from "#base/errors/ferryError.ts";
import type { Logger } from "./log.ts";

/** Logs retries (`onRetry` of flow/retry.ts): short failures are expected, only lasting ones are worth a line. */
export const tryingAgain =
  (logger: Logger, stage: string) =>
  (error: FerryError, attempt: number, ms: number): void => {
    if (attempt === 3 || attempt % 20 === 0)
      logger.warn({ stage, attempt, ms, code: error.code, err: error.detail }, "trying again");
  };
