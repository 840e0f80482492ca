import { FerryError } from "#base/errors/ferryError.ts";

/** How long a command of ferry, or the end of a process, may take in a test, ms. Below the limit of a whole file, so that the test that hangs is named. */
export const PATIENCE_MS = 120_000;

/**
 * Awaits something that has no deadline of its own.
 * @param seen what to show at the limit: the last output of what was awaited
 * @param giveUp called at the limit: ends what would otherwise hang on
 * @throws FERRY_TIMEOUT
 */
export const within = async <T>(
  awaited: Promise<T>,
  {
    what,
    seen,
    giveUp,
    timeoutMs = PATIENCE_MS,
  }: Readonly<{ what: string; seen: () => string; giveUp?: () => void; timeoutMs?: number | undefined }>,
): Promise<T> => {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      const detail = `${what}: timed out after ${timeoutMs} ms; last state:\n${seen()}`;
      giveUp?.();
      reject(new FerryError("FERRY_TIMEOUT", detail));
    }, timeoutMs);
  });
  try {
    return await Promise.race([awaited, limit]);
  } finally {
    clearTimeout(timer);
  }
};

/** The end of a text, for an error message. */
export const tail = (text: string, lines = 20): string => text.trimEnd().split("\n").slice(-lines).join("\n");
