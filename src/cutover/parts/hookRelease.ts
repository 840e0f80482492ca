import { runHook } from "#cutover/fence/hook.ts";
import type { Services } from "#cutover/machine/parts.ts";

/** Services are sent to the target by a command of the operator; without one the operator does it when asked. */
export class HookRelease implements Services {
  readonly #command: string | undefined;
  readonly #namespaces: readonly string[];

  constructor(command: string | undefined, namespaces: readonly string[]) {
    this.#command = command;
    this.#namespaces = namespaces;
  }

  async release(leftMs: number, signal: AbortSignal): Promise<void> {
    if (this.#command === undefined) return;
    await runHook(this.#command, { step: "release", namespaces: this.#namespaces, timeoutMs: leftMs, signal });
  }
}
