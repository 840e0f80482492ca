import { Timestamp } from "bson";
import { FerryError } from "#base/errors/ferryError.ts";
import { every } from "#base/flow/every.ts";
import { lookUntil } from "#base/flow/lookUntil.ts";
import type { Logger } from "#base/observe/log.ts";
import { type EndDeps, endRun } from "#cutover/ending/endRun.ts";
import { haltOf, type LookDeps, lettersAndHalts } from "#cutover/ending/lastLook.ts";
import { workersDrained } from "#cutover/ending/workersDrained.ts";
import type { Carrier, SourceTime } from "#cutover/machine/parts.ts";
import type { SeenRun, Unrestored } from "#source/capture/captureLifecycle.ts";
import { commandOf, stateOf } from "#source/capture/captureLifecycle.ts";
import { AWAY_MS, RunCapture } from "#source/capture/runCapture.ts";

export type FerryCaptureDeps = EndDeps &
  Pick<LookDeps, "only"> &
  Readonly<{
    /** Is a namespace of the source switched over? */
    has: (ns: string) => boolean;
    logger: Logger;
    /** Older changes than this may not wait, ms. */
    maxLagMs: number;
    /** Only some namespaces are switched over: the run continues with the others. */
    partly: boolean;
    /** Services of what is switched over write to the target: the run carries it no longer, after this time. */
    moved: (at: SourceTime) => Promise<void>;
    /** Restores what is left of these. */
    restoreRest: (signal: AbortSignal) => Promise<readonly Unrestored[]>;
  }>;

/** How often the position is looked at while services wait, ms. */
const LOOK_MS = 10;
/** How often halted routes are looked for meanwhile, ms. */
const HALT_MS = 50;

/** `ferry run`, and `ferry capture` with its workers behind Kafka. */
export class FerryCapture implements Carrier {
  readonly #deps: FerryCaptureDeps;
  readonly #run: RunCapture;

  constructor(deps: FerryCaptureDeps) {
    this.#deps = deps;
    const { control, source, clock, logger } = deps;
    this.#run = new RunCapture({ control, source, clock, logger });
  }

  async unready(): Promise<readonly FerryError[]> {
    const { state, routes, only, accepted } = this.#deps;
    const seen = await this.#whenOwned();
    const known = await lettersAndHalts({ state, routes, only, accepted: new Set(accepted) });
    return [this.#early(seen), known].filter((error) => error !== undefined);
  }

  /** A process that is busy renews its lease late: it is given the time. */
  async #whenOwned(): Promise<SeenRun> {
    const { control, clock } = this.#deps;
    const since = clock.now();
    return lookUntil(AWAY_MS / 10, { clock }, async () => {
      const seen = await control.seen();
      const isAway = !seen.owned && stateOf(seen.record) === "running" && seen.record.ended == null;
      return (!isAway || clock.now() - since > AWAY_MS) && seen;
    });
  }

  #early(seen: SeenRun): FerryError | undefined {
    const { maxLagMs } = this.#deps;
    const { record, owned } = seen;
    const state = stateOf(record);
    const lagMs = Number(record.lag?.ms ?? 0);
    if (state === "finalized") return new FerryError("FERRY_RUN_FINALIZED", "the run is over");
    if (state !== "running") return new FerryError("FERRY_CUTOVER_EARLY", `the run is ${state}`);
    if (!owned) return new FerryError("FERRY_RUN_BEHIND", `not running; start ${commandOf(record)} again`);
    if (record.phase !== "stream") return new FerryError("FERRY_CUTOVER_EARLY", "documents are being copied");
    if (lagMs > maxLagMs) return new FerryError("FERRY_CUTOVER_EARLY", `the oldest pending change is ${lagMs} ms old`);
    return undefined;
  }

  async hurry(on: boolean): Promise<void> {
    await this.#deps.control.hurry(on);
  }

  async drainTo(at: SourceTime, signal: AbortSignal): Promise<void> {
    const { control, clock, kafka, state, routes, has } = this.#deps;
    const stop = new AbortController();
    const ended = AbortSignal.any([signal, stop.signal]);
    const halts = every(HALT_MS, { clock, ended, first: "now" }, async () => {
      const halted = await haltOf(this.#deps).catch((error: unknown) => error);
      if (halted !== undefined) stop.abort(halted);
    });
    try {
      await this.#run.drainTo(at, ended);
      const { record } = await control.seen();
      if (record.mode === "kafka" && kafka !== undefined)
        await workersDrained({
          ...{ kafka, state, routes, clock, signal: ended, lookMs: LOOK_MS },
          topics: record.topics.filter(({ name }) => has(name)),
          report: () => undefined,
        });
    } finally {
      stop.abort();
      await halts;
    }
  }

  async end(at: SourceTime, signal: AbortSignal): Promise<readonly Unrestored[]> {
    if (this.#deps.partly) {
      await this.#deps.moved(at);
      return this.#deps.restoreRest(signal);
    }
    // It was proven that there were no writes after the fence; from now on services write to the target.
    const accepted = [...new Set([...this.#deps.accepted, "FERRY_SOURCE_WRITES"])];
    const { lifecycle } = await endRun({ ...this.#deps, accepted, signal }, new Timestamp(at));
    return lifecycle?.unrestored ?? [];
  }
}
