import type { FerryError } from "#base/errors/ferryError.ts";
import type { Logger } from "./log.ts";
import type { RetryStage } from "./metricCatalogue.ts";
import type { Vitals } from "./vitals.ts";

/** Counts and logs retries (`onRetry` of flow/retry.ts): short failures are expected, only lasting ones are worth a line. */
export const tryingAgain =
  ({ logger, vitals }: Readonly<{ logger: Logger; vitals: Vitals }>, stage: RetryStage) =>
  (error: FerryError, attempt: number, ms: number): void => {
    vitals.count("ferry_retries_total", { stage });
    if (attempt === 3 || attempt % 20 === 0)
      logger.warn({ stage, attempt, ms, code: error.code, err: error.detail }, "trying again");
  };
