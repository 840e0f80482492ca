import type { Clock } from "./clock.ts";

export type LookOptions = Readonly<{
  clock: Clock;
  /** Ends the wait between two looks; a look under way is waited for, and what it has found counts. */
  signal?: AbortSignal | undefined;
}>;

/**
 * The one loop that waits for an answer: looks, waits `ms`, and looks again until there is one. `false` and undefined are none.
 * @throws what `look` throws (that it has been looked for long enough, too), the signal's reason
 */
export const lookUntil = async <T>(
  ms: number,
  { clock, signal }: LookOptions,
  look: () => Promise<T | false | undefined>,
): Promise<T> => {
  for (;;) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
    await clock.sleep(ms, signal);
  }
};
