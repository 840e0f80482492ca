import { FerryError } from "#errors/ferryError.ts";

export type StopSignals = Readonly<{ soft: AbortSignal; hard: AbortSignal }>;

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
    else if (!hard.signal.aborted) hard.abort(new FerryError("FERRY_STOPPED", `stopped at once by a second ${signal}`));
    else process.exit(75);
    received = signal;
  };
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(name, onSignal);
  try {
    await run({ soft: soft.signal, hard: hard.signal });
  } finally {
    for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.off(name, onSignal);
  }
  if (received !== undefined) process.kill(process.pid, received);
};
