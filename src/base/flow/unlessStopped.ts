import { isFerry } from "#base/errors/ferryError.ts";

/** A stop is not an error: whatever was interrupted by it goes on from the saved positions. @throws everything else */
export const unlessStopped = async (work: Promise<void>, hard: AbortSignal): Promise<void> => {
  try {
    await work;
  } catch (error) {
    if (!hard.aborted && !isFerry(error, "FERRY_STOPPED")) throw error;
  }
};
