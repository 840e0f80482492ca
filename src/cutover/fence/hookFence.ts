import type { FerryError } from "#base/errors/ferryError.ts";
import type { Fence, FenceDeps, SourceTime } from "#cutover/machine/parts.ts";
import { clusterTime } from "#source/stream/sourceProbe.ts";
import { runHook } from "./hook.ts";

/** What lifting may take, ms: services wait for it. */
const LIFT_MS = 60_000;

/** A command of the operator that stops the writers, and lets them write again: a proxy, a feature flag, a firewall. */
export class HookFence implements Fence {
  readonly kind = "hook";
  readonly #command: string;
  readonly #deps: Pick<FenceDeps, "source" | "named">;

  constructor(command: string, deps: Pick<FenceDeps, "source" | "named">) {
    this.#command = command;
    this.#deps = deps;
  }

  async unready(): Promise<readonly FerryError[]> {
    return [];
  }

  async raise(leftMs: number, signal: AbortSignal): Promise<SourceTime> {
    const { source, named: namespaces } = this.#deps;
    await runHook(this.#command, { step: "fence", namespaces, timeoutMs: leftMs, signal });
    return (await clusterTime(source)).toBigInt();
  }

  async lift(): Promise<void> {
    await runHook(this.#command, { step: "lift", namespaces: this.#deps.named, timeoutMs: LIFT_MS });
  }
}
