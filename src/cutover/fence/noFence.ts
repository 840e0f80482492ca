import { Timestamp } from "bson";
import { FerryError } from "#base/errors/ferryError.ts";
import { seriesOf } from "#base/flow/buckets.ts";
import type { Clock } from "#base/flow/clock.ts";
import { lookUntil } from "#base/flow/lookUntil.ts";
import { formatNamespace } from "#base/flow/types.ts";
import type { Fence, FenceDeps, SourceTime } from "#cutover/machine/parts.ts";
import { firstChange } from "#source/capture/firstChange.ts";
import { secondsOf, timeText } from "#source/stream/resumeToken.ts";
import { Scope } from "#source/stream/scope.ts";
import { clusterTime } from "#source/stream/sourceProbe.ts";

/** Who has not written for so long counts as stopped, s: a service that writes now and then is not. */
const STILL_S = 5n;
/** How long the source may take to become still, ms, and how often it is asked. */
const PATIENCE_MS = 12_000;
const LOOK_MS = 500;

/** The operator has stopped the writers: nothing is refused, so it is looked whether they have stopped, and that none of them writes later. */
export class NoFence implements Fence {
  readonly kind = "none";
  readonly #deps: FenceDeps & Readonly<{ clock: Clock }>;

  constructor(deps: FenceDeps & Readonly<{ clock: Clock }>) {
    this.#deps = deps;
  }

  /** Resolves when the source is still, or is not going to be. */
  async unready(): Promise<readonly FerryError[]> {
    const { clock } = this.#deps;
    const since = clock.now();
    return lookUntil(LOOK_MS, { clock }, async () => {
      const at = await this.#written();
      if (at === undefined) return [];
      if (clock.now() - since < PATIENCE_MS) return undefined;
      const how = `the source was written to at ${timeText(at)}, and is never still for ${STILL_S} s`;
      return [new FerryError("FERRY_SOURCE_WRITES", `${how}: stop its services first, or give another --fence`)];
    });
  }

  /** @returns when one of the last seconds' changes was made */
  async #written(): Promise<SourceTime | undefined> {
    const { source, namespaces } = this.#deps;
    const names = await namespaces();
    const scope = new Scope({ include: names.map(formatNamespace), exclude: [] }, "");
    const since = BigInt(secondsOf((await clusterTime(source)).toBigInt())) - STILL_S;
    const timeSeries = names.some((ns) => seriesOf(ns) !== undefined);
    const from = { at: new Timestamp(since << 32n) };
    return (await firstChange({ source, scope, timeSeries, from, signal: new AbortController().signal })).at;
  }

  async raise(): Promise<SourceTime> {
    return (await clusterTime(this.#deps.source)).toBigInt();
  }

  async lift(): Promise<void> {
    // nothing is up
  }
}
