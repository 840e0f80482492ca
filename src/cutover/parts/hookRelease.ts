import { runHook } from "#cutover/fence/hook.ts";
import type { Services } from "#cutover/machine/parts.ts";

/** What a shell does that has no command. */
const NOTHING = ":";

/** How long a shell may take that does nothing, ms. */
const TRIAL_MS = 10_000;

/** Services are sent to the target by a command of the operator; without one the operator does it when asked. */
export class HookRelease implements Services {
  readonly #command: string | undefined;
  readonly #namespaces: readonly string[];

  constructor(command: string | undefined, namespaces: readonly string[]) {
    this.#command = command;
    this.#namespaces = namespaces;
  }

  /** The shell is started without the command: what the command itself takes is the operator's to know. */
  async trial(signal: AbortSignal): Promise<void> {
    if (this.#command === undefined) return;
    await runHook(NOTHING, { step: "release", namespaces: this.#namespaces, timeoutMs: TRIAL_MS, signal });
  }

  async release(leftMs: number, signal: AbortSignal): Promise<void> {
    if (this.#command === undefined) return;
    await runHook(this.#command, { step: "release", namespaces: this.#namespaces, timeoutMs: leftMs, signal });
  }
}
