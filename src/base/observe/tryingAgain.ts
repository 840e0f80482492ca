import type { FerryError } from "#base/errors/ferryError.ts";
import { failureFields } from "./failure.ts";
import type { Logger } from "./log.ts";
import type { RetryStage } from "./metricCatalogue.ts";
import type { Vitals } from "./vitals.ts";

/**
 * Counts and logs retries (`onRetry` of flow/retry.ts): short failures are expected, only lasting ones are worth a line. What an
 * operator has to do is said at once, with what it is.
 */
export const tryingAgain =
  ({ logger, vitals }: Readonly<{ logger: Logger; vitals: Vitals }>, stage: RetryStage) =>
  (error: FerryError, attempt: number, ms: number): void => {
    vitals.count("ferry_retries_total", { stage });
    const first = error.entry.retry === "operator" ? 1 : 3;
    if (attempt === first || attempt % 20 === 0)
      logger.warn({ stage, attempt, ms, ...failureFields(error) }, "trying again");
  };
