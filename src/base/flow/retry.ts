import { FerryError, isFerry } from "#base/errors/ferryError.ts";
import type { Clock } from "./clock.ts";
import { lookUntil } from "./lookUntil.ts";

export type RetryOptions = Readonly<{
  /** What is being tried, for the warning and the final error. */
  what: string;
  clock: Clock;
  signal?: AbortSignal | undefined;
  /** First pause, ms; doubles with full jitter up to `maxPauseMs`. */
  pauseMs?: number;
  maxPauseMs?: number;
  random?: () => number;
  /** Is it transient? By default as the error's catalogue entry says; an operator is waited for without a limit only. */
  isPassing?: (error: FerryError) => boolean;
  /** Called before each pause. The place to log a warning. `attempt`: how often it failed in a row with this code, from 1. */
  onRetry?: (error: FerryError, attempt: number, pauseMs: number) => void;
}>;

/** Counts how often something failed in a row with the same code, from 1. */
export const failuresInARow = (): ((error: FerryError) => number) => {
  let [code, times] = ["", 0];
  return (error) => {
    [code, times] = [error.code, error.code === code ? times + 1 : 1];
    return times;
  };
};

const passes = (error: FerryError): boolean => error.entry.retry === "backoff";
const mayPass = (error: FerryError): boolean => error.entry.retry !== "never";

/**
 * The one retry loop. Retries while the error is transient; everything else is thrown.
 * Full jitter keeps many workers from returning in step.
 * @throws the last error when `giveUpAfterMs` has passed, or the signal's reason when it aborts.
 */
export const retry = async <T>(
  attempt: () => Promise<T>,
  options: RetryOptions &
    Readonly<{
      /** Give up when this long passed since the first failure in a row, ms. */
      giveUpAfterMs: number;
    }>,
): Promise<T> => {
  const { clock, random = Math.random, pauseMs = 20, maxPauseMs = 1000, isPassing = passes } = options;
  let failedSince: number | undefined;
  const timesOf = failuresInARow();
  for (let tries = 1; ; tries++) {
    options.signal?.throwIfAborted();
    try {
      return await attempt();
    } catch (error) {
      if (!isFerry(error) || !isPassing(error)) throw error;
      failedSince ??= clock.now();
      if (clock.now() - failedSince >= options.giveUpAfterMs) {
        throw new FerryError(error.code, `${options.what}: ${error.detail}`, { cause: error, facts: error.facts });
      }
      const ceiling = Math.min(maxPauseMs, pauseMs * 2 ** Math.min(tries - 1, 16));
      const pause = Math.max(1, Math.round(ceiling * random()));
      options.onRetry?.(error, timesOf(error), pause);
      await clock.sleep(pause, options.signal);
    }
  }
};

/** `retry` without a limit: only the signal, or an error that is not transient, ends it. */
export const retryForever = <T>(attempt: () => Promise<T>, options: RetryOptions): Promise<T> =>
  retry(attempt, { isPassing: mayPass, ...options, giveUpAfterMs: Number.POSITIVE_INFINITY });

export type WaitOptions = Readonly<{
  what: string;
  clock: Clock;
  timeoutMs: number;
  everyMs?: number;
  signal?: AbortSignal | undefined;
}>;

/**
 * Awaits a condition: calls `probe` until it answers `{ done: value }`; `seen` is what the error reports at the deadline.
 * @throws FERRY_TIMEOUT with what was last seen.
 */
export const waitFor = async <T>(
  probe: () => Promise<{ done: T } | { seen: unknown }>,
  options: WaitOptions,
): Promise<T> => {
  const { what, clock, timeoutMs, everyMs = 100, signal } = options;
  const deadline = clock.now() + timeoutMs;
  const { done } = await lookUntil(everyMs, options, async () => {
    signal?.throwIfAborted();
    const answer = await probe();
    if ("done" in answer) return answer;
    if (clock.now() < deadline) return undefined;
    const seen = typeof answer.seen === "string" ? answer.seen : JSON.stringify(answer.seen);
    throw new FerryError("FERRY_TIMEOUT", `${what}: timed out after ${timeoutMs} ms; last state: ${seen}`);
  });
  return done;
};
