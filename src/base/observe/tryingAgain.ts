import type { FerryError } from "#base/errors/ferryError.ts";
import type { Logger } from "./log.ts";

/** Says that something is being tried again (`onRetry` of flow/retry.ts): what passes at once is everyday life, only what lasts is worth a line. */
export const tryingAgain =
  (logger: Logger, stage: string) =>
  (error: FerryError, attempt: number, ms: number): void => {
    if (attempt === 3 || attempt % 20 === 0)
      logger.warn({ stage, attempt, ms, code: error.code, err: error.detail }, "trying again");
  };
