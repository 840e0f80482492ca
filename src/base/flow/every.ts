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
  /** What ends the next wait, `ended` at the latest: for a loop that may be woken. Asked before each. */
  woken?: () => AbortSignal;
}>;

/**
 * The one periodic loop: does the work, waits `ms`, and does it again until `ended` aborts. Never does it twice at a time.
 * @param ms asked before each wait, where it changes
 * @throws what `work` throws, which ends the loop
 */
export const every = async (
  ms: number | (() => number),
  { clock, ended, first, woken = () => ended }: EveryOptions,
  work: () => Promise<void>,
): Promise<void> => {
  const pause = (): Promise<void> => pauseFor(clock, typeof ms === "number" ? ms : ms(), woken());
  if (first === "later") await pause();
  while (!ended.aborted) {
    await work();
    await pause();
  }
};
