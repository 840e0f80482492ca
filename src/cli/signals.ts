import { FerryError } from "#errors/ferryError.ts";

export type StopSignals = Readonly<{ soft: AbortSignal; hard: AbortSignal }>;

const NAMES = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** How long a hard stop waits for calls on their way, ms: a server that does not answer must not hold the process. */
const HARD_MS = 1000;

/**
 * First signal soft (what was read is applied and saved), second hard, third the operating system's own way. `run` is
 * given both; afterwards the process re-raises the signal, so that its parent sees the truth.
 */
export const withSignals = async (run: (signals: StopSignals) => Promise<void>): Promise<void> => {
  const soft = new AbortController();
  const hard = new AbortController();
  let received: NodeJS.Signals | undefined;
  const onSignal = (signal: NodeJS.Signals): void => {
    if (received === undefined) soft.abort(new FerryError("FERRY_STOPPED", `stopped by ${signal}`));
    else if (!hard.signal.aborted) {
      hard.abort(new FerryError("FERRY_STOPPED", `stopped at once by a second ${signal}`));
      setTimeout(() => raise(signal), HARD_MS).unref();
    } else process.exit(75);
    received = signal;
  };
  const ignore = (): void => {
    for (const name of NAMES) process.off(name, onSignal);
  };
  const raise = (signal: NodeJS.Signals): void => {
    ignore();
    process.kill(process.pid, signal);
  };
  for (const name of NAMES) process.on(name, onSignal);
  try {
    await run({ soft: soft.signal, hard: hard.signal });
  } finally {
    ignore();
  }
  if (received !== undefined) raise(received);
};
