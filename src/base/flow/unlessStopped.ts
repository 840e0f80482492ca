import { isFerry } from "#base/errors/ferryError.ts";

/** A stop is not an error: interrupted work resumes from the saved positions. @throws everything else */
export const unlessStopped = async (work: Promise<void>, hard: AbortSignal): Promise<void> => {
  try {
    await work;
  } catch (error) {
    if (!hard.aborted && !isFerry(error, "FERRY_STOPPED")) throw error;
  }
};
