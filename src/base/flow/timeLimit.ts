import type { Clock } from "./clock.ts";

/** `signal` aborts with `reason` when `ms` of the clock have passed, unless it was disposed of before. */
export const timeLimit = (ms: number, clock: Clock, reason: Error): Disposable & Readonly<{ signal: AbortSignal }> => {
  const [ended, late] = [new AbortController(), new AbortController()];
  clock.sleep(ms, ended.signal).then(
    () => late.abort(reason),
    () => undefined, // disposed of
  );
  return { signal: late.signal, [Symbol.dispose]: () => ended.abort() };
};
