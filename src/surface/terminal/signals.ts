import { constants } from "node:os";
import { FerryError, isFerry } from "#base/errors/ferryError.ts";
import { printAside, printFailure } from "./output.ts";
import { reader } from "./readerGone.ts";

export type StopSignals = Readonly<{ soft: AbortSignal; hard: AbortSignal }>;

const NAMES = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** How long a hard stop waits for calls on their way, ms: a server that does not answer must not hold the process. */
const HARD_MS = 1000;

/** How long a soft stop may take before it says why the process is still there, ms. */
const SAID_MS = 3000;

const LINGERS =
  "stopping: what was read is still being applied, or a server that is away is waited for; a second signal stops at once, and loses nothing";

/**
 * First signal soft (what was read is applied and saved), second hard, third the operating system's own way. `run` is
 * given both; afterwards the process re-raises the signal, so that its parent sees the truth.
 */
export const withSignals = async (run: (signals: StopSignals) => Promise<void>): Promise<void> => {
  const soft = new AbortController();
  const hard = new AbortController();
  let received: NodeJS.Signals | undefined;
  const onSignal = (signal: NodeJS.Signals): void => {
    if (received === undefined) {
      soft.abort(new FerryError("FERRY_STOPPED", `stopped by ${signal}`));
      setTimeout(() => printAside(LINGERS), SAID_MS).unref();
    } else if (!hard.signal.aborted) {
      hard.abort(new FerryError("FERRY_STOPPED", `stopped immediately by a second ${signal}`));
      setTimeout(() => raise(signal), HARD_MS).unref();
    } else process.exit(128 + constants.signals[signal]);
    received = signal;
  };
  const onGone = (): void => onSignal("SIGPIPE"); // as a shell shows it
  const ignore = (): void => {
    for (const name of NAMES) process.off(name, onSignal);
    reader.off("gone", onGone);
  };
  const raise = (signal: NodeJS.Signals): void => {
    ignore();
    process.exitCode = 128 + constants.signals[signal]; // the first process of a container is not ended by its own signal
    process.kill(process.pid, signal);
  };
  for (const name of NAMES) process.on(name, onSignal);
  reader.on("gone", onGone);
  try {
    await run({ soft: soft.signal, hard: hard.signal });
  } catch (error) {
    // A stop is not a failure; anything else is printed before the signal ends the process.
    if (received === undefined) throw error;
    if (!isFerry(error, "FERRY_STOPPED")) printFailure(error as Error, process.argv.includes("--json"));
  } finally {
    ignore();
  }
  if (received !== undefined) raise(received);
};
