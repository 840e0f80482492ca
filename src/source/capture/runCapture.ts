import { FerryError } from "#base/errors/ferryError.ts";
import type { Clock } from "#base/flow/clock.ts";
import { lookUntil } from "#base/flow/lookUntil.ts";
import type { Logger } from "#base/observe/log.ts";
import type { MongoClient } from "#io/mongo/connect.ts";
import type { Capture } from "#source/stream/capture.ts";
import { RestingSource } from "#source/stream/restingSource.ts";
import { tokenTime } from "#source/stream/resumeToken.ts";
import { commandOf, type RunControl, stateOf } from "./captureLifecycle.ts";
import type { StoredCapture } from "./captureStore.ts";

/** A run without an owner for this long has ended, ms: a process that is busy renews its lease late. */
export const AWAY_MS = 2000;

/** How often its record is looked at, ms: while services wait for it, and while an operator does. */
const DRAIN_MS = 10;
const PAUSE_MS = 50;

export type RunCaptureDeps = Readonly<{
  control: RunControl;
  /** Undefined where nothing is drained. */
  source: MongoClient | undefined;
  clock: Clock;
  logger: Logger;
}>;

/** @throws FERRY_RUN_FINALIZED, FERRY_RUN_FINALIZING */
const refuse = ({ lifecycle }: StoredCapture): never => {
  const at = lifecycle?.finalizedAt;
  if (at !== undefined) throw new FerryError("FERRY_RUN_FINALIZED", `the run was finalized at ${at.toISOString()}`);
  throw new FerryError("FERRY_RUN_FINALIZING", "it can no longer be paused or resumed");
};

/** `ferry run` and `ferry capture`, steered through their record: what is wanted is written where their process looks. */
export class RunCapture implements Capture {
  readonly name = "the run";
  readonly #deps: RunCaptureDeps;

  constructor(deps: RunCaptureDeps) {
    this.#deps = deps;
  }

  /** @throws FERRY_RUN_NONE, FERRY_RUN_FINALIZED, FERRY_RUN_FINALIZING, FERRY_MONGO_*, the signal's reason */
  async pause(signal: AbortSignal): Promise<void> {
    const { control, clock } = this.#deps;
    const { record } = await control.seen();
    if (!(await control.pause())) refuse(record);
    await lookUntil(PAUSE_MS, { clock, signal }, async () => {
      const seen = await control.seen();
      return stateOf(seen.record) === "paused" || !seen.owned;
    });
  }

  /** @throws as `pause` */
  async resume(): Promise<void> {
    const { record } = await this.#deps.control.seen();
    if (!(await this.#deps.control.resume())) refuse(record);
  }

  async position(): Promise<bigint | undefined> {
    const { record } = await this.#deps.control.seen();
    return record.phase === "stream" ? tokenTime(record.token) : undefined;
  }

  /** @throws FERRY_RUN_NONE, FERRY_RUN_BEHIND where no process drains it, FERRY_MONGO_*, the signal's reason */
  async drainTo(at: bigint, signal: AbortSignal): Promise<void> {
    const { control, source, clock, logger } = this.#deps;
    // At the very time there may be more: the position must be after it, and a source that is fenced is at rest.
    if (source !== undefined) await new RestingSource({ client: source, clock, logger }).note();
    let ownedAt = clock.now();
    await lookUntil(DRAIN_MS, { clock, signal }, async () => {
      const { record, owned } = await control.seen();
      if (owned) ownedAt = clock.now();
      if (record.phase === "stream" && tokenTime(record.token) > at) return true;
      if (clock.now() - ownedAt <= AWAY_MS) return false;
      throw new FerryError("FERRY_RUN_BEHIND", `${commandOf(record)} is not running`);
    });
  }
}
