import type { Clock } from "./clock.ts";

/** Waits `ms`, or until the signal aborts. The signal is no error here: who waits looks at it afterwards. */
export const pauseFor = (clock: Clock, ms: number, signal: AbortSignal | undefined): Promise<void> =>
  clock.sleep(ms, signal).catch(() => undefined);

export type EveryOptions = Readonly<{
  clock: Clock;
  /** Ends the wait and the loop; work under way is waited for. */
  ended: AbortSignal;
  /** When the work is done first: immediately, or after `ms`. */
  first: "now" | "later";
}>;

/**
 * The one periodic loop: does the work, waits `ms`, and does it again until `ended` aborts. Never does it twice at a time.
 * @throws what `work` throws, which ends the loop
 */
export const every = async (
  ms: number,
  { clock, ended, first }: EveryOptions,
  work: () => Promise<void>,
): Promise<void> => {
  if (first === "later") await pauseFor(clock, ms, ended);
  while (!ended.aborted) {
    await work();
    await pauseFor(clock, ms, ended);
  }
};
