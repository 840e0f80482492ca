import type { Timestamp } from "bson";
import type { ErrorCode } from "#base/errors/catalogue.ts";
import { FerryError } from "#base/errors/ferryError.ts";
import { faultPoint } from "#base/flow/fault.ts";
import type { Collection, Document } from "#io/mongo/connect.ts";
import { translated } from "#io/mongo/errors.ts";
import { FREE } from "#io/mongo/lease.ts";
import type { StateDb } from "#io/state/stateDb.ts";
import type { CopyLimits } from "#source/copy/sourcePace.ts";
import type { StoredCapture } from "./captureStore.ts";

/** What could not be restored when a run was finalized. `index` is empty for the collection itself. */
export type Unrestored = { ns: string; index: string; reason: string };

/** What a run met, by its code. */
export type Trouble = { code: ErrorCode; detail: string; at: Date };

/**
 * What operators want of a run, and how far it has followed: part of its record, so that it holds for every process that is started
 * again. Without any of it the run just runs.
 */
export type Lifecycle = {
  wanted?: "paused" | "finalized" | null;
  /** No write to the target is pending since then; null while the run is active. */
  pausedAt?: Date | null;
  /** A cutover waits for it: positions move within milliseconds. */
  hurry?: boolean;
  /** How fast it may copy, in place of what its process was started with. */
  limits?: CopyLimits;
  /** To be finalized after this cluster time of the source. */
  drainTo?: Timestamp;
  /** Error codes that are accepted when the run ends. */
  accepted?: string[];
  /** Why it was not finalized after the drain: it continues. Absent as soon as finalize is called again. */
  refused?: Trouble;
  /** Everything up to `drainTo` is on the target, and nothing more will come. */
  drainedAt?: Date;
  /** Deferred constraints are restored as far as possible: the run has ended. */
  finalizedAt?: Date;
  unrestored?: Unrestored[];
};

export type RunState = "running" | "pausing" | "paused" | "draining" | "finalizing" | "finalized";

export const stateOf = ({ lifecycle = {} }: Pick<StoredCapture, "lifecycle">): RunState => {
  const { wanted, pausedAt, drainedAt, finalizedAt } = lifecycle;
  if (finalizedAt !== undefined) return "finalized";
  if (drainedAt !== undefined) return "finalizing";
  if (wanted === "finalized") return "draining";
  if (wanted === "paused") return pausedAt instanceof Date ? "paused" : "pausing";
  return "running";
};

/** The command that a run is started with. */
export const commandOf = ({ mode }: Pick<StoredCapture, "mode">): string =>
  mode === "direct" ? "`ferry run`" : "`ferry capture`";

/** A run's record, and whether a process owns it now. */
export type SeenRun = Readonly<{ record: StoredCapture; owned: boolean }>;

/** The record, and whether a process owns it now, by the server's clock; undefined if there is none. @throws FERRY_MONGO_* */
export const readSeenRun = async (state: StateDb): Promise<SeenRun | undefined> => {
  const captures = state.collection<StoredCapture>("capture");
  const [found] = await translated("reading the run's record", () =>
    captures
      .aggregate<StoredCapture & { free: boolean }>([{ $match: { _id: "capture" } }, { $set: { free: FREE } }])
      .toArray(),
  );
  return found === undefined ? undefined : { record: found, owned: !found.free };
};

const noRunHere = (): FerryError => new FerryError("FERRY_RUN_NONE", "there is no run on this target");

/** A run's record as an operator's commands see it, beside the process that owns it. Every method throws FERRY_MONGO_*. */
export class RunControl {
  readonly #state: StateDb;
  readonly #captures: Collection<StoredCapture>;

  constructor(state: StateDb) {
    this.#state = state;
    this.#captures = state.collection("capture");
  }

  /** See `readSeenRun`. */
  read(): Promise<SeenRun | undefined> {
    return readSeenRun(this.#state);
  }

  /** The same of a run that must be there. @throws FERRY_RUN_NONE */
  async seen(): Promise<SeenRun> {
    const found = await this.read();
    if (found === undefined) throw noRunHere();
    return found;
  }

  /** Asked for again, it is as paused as it is. False where the run has begun to be finalized. */
  async pause(): Promise<boolean> {
    const known = { $eq: ["$lifecycle.wanted", "paused"] };
    const pausedAt = { $cond: [known, { $ifNull: ["$lifecycle.pausedAt", null] }, null] };
    return this.#want([{ $set: { "lifecycle.wanted": "paused", "lifecycle.pausedAt": pausedAt } }]);
  }

  /** False where the run has begun to be finalized. */
  async resume(): Promise<boolean> {
    return this.#want({ $set: { "lifecycle.wanted": null } });
  }

  /** How fast it may copy from now on, also after a restart. Asked for again, it is the same. @throws FERRY_RUN_NONE */
  async limit(limits: CopyLimits): Promise<void> {
    const { matchedCount } = await translated("noting how fast the run may copy", () =>
      this.#captures.updateOne({ _id: "capture" }, { $set: { "lifecycle.limits": limits } }),
    );
    if (matchedCount === 0) throw noRunHere();
  }

  /** Positions move within milliseconds from now on, or at their usual pace. */
  async hurry(on: boolean): Promise<void> {
    await translated("noting how fast the run is wanted", () =>
      this.#captures.updateOne({ _id: "capture" }, { $set: { "lifecycle.hurry": on } }),
    );
  }

  /** Asked for again, the first time counts: a run that drains is not sent further and further. */
  async finalize(drainTo: Timestamp, accepted: readonly string[]): Promise<void> {
    await this.#want({
      $set: { "lifecycle.wanted": "finalized", "lifecycle.drainTo": drainTo, "lifecycle.accepted": [...accepted] },
      $unset: { "lifecycle.refused": "" },
    });
  }

  /** With Kafka the capture has ended by then: the command that finished workers and structure notes the end. */
  async end(unrestored: Unrestored[]): Promise<void> {
    faultPoint("before-finalized");
    await translated("noting the end of the run", () =>
      this.#captures.updateOne(
        { _id: "capture", "lifecycle.drainedAt": { $exists: true } },
        { $set: { "lifecycle.finalizedAt": new Date(), "lifecycle.unrestored": unrestored } },
      ),
    );
  }

  async #want(update: Document | Document[]): Promise<boolean> {
    const { matchedCount } = await translated("noting what is wanted of the run", () =>
      this.#captures.updateOne({ _id: "capture", "lifecycle.wanted": { $ne: "finalized" } }, update),
    );
    return matchedCount === 1;
  }
}
