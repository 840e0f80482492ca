import { randomBytes } from "node:crypto";
import { Long, type Timestamp } from "bson";
import { FerryError, isFerry } from "#base/errors/ferryError.ts";
import { faultPoint } from "#base/flow/fault.ts";
import type { Collection } from "#io/mongo/connect.ts";
import { translated } from "#io/mongo/errors.ts";
import { FREE } from "#io/mongo/lease.ts";
import { hasServerCode, ServerCode } from "#io/mongo/serverCodes.ts";
import { forgetRoutes } from "#io/state/forgetRoutes.ts";
import type { StateDb } from "#io/state/stateDb.ts";
import { ofPlans, type RangeRecord } from "#source/copy/rangeRecord.ts";
import type { SourceIdentity } from "#source/stream/deployment.ts";
import type { OplogNote } from "#source/stream/oplogRoom.ts";
import { ResumeToken, type StoredToken } from "#source/stream/resumeToken.ts";
import type { CaptureBook } from "./captureBook.ts";
import type { Lifecycle, Trouble } from "./captureLifecycle.ts";

/** A topic and where it stood at the saved position. */
export type TopicRecord = { name: string; next: Long };

/** What of the change stream lies in files of the capturing machine. */
export type SpoolNote = {
  bytes: number;
  limitBytes: number;
  /** The position after it. */
  newest: ResumeToken;
  /** Why it takes no more; null where it does. */
  full: string | null;
};

/** The cutovers `after` one up to the `newest`, by their numbers: what they sent over is carried back. Up to `after`, that has ended. */
export type Behind = { after: number; newest: number };

/**
 * `ferry.capture` on the target, one record: what ferry's own capture must remember. Position and offsets are one document,
 * so that they move in one step on any kind of target.
 *
 * replacing → the target is being emptied for a new capture; this one is over
 * copy → the ranges are being copied; the stream begins at `start`
 * stream → everything up to `token` is in the log; the events after it begin at the topics' `next`
 */
export type CaptureRecord = {
  _id: "capture";
  /** Of a run that carries back: after which cutovers. */
  behind?: Behind;
  /** Which capture this is: another one under the same names gets other topics. */
  id: string;
  mode: "direct" | "kafka";
  /** The source's own id where it may be read, its replica set and members, so that another source is noticed. */
  source: SourceIdentity;
  scope: { include: string[]; exclude: string[] };
  /** Are time series carried with their measurements? Decided when the copy begins, since it must have them, too. */
  timeSeries?: boolean;
  phase: "replacing" | "copy" | "stream";
  /** What operators want of the run, and how far it has followed. */
  lifecycle?: Lifecycle;
  /** Whose ranges are this capture's; absent in records of an earlier version, as it is in their ranges. */
  plan?: string;
  /** The n-th copy; a bounded re-copy after lost history is one more. */
  generation: number;
  start: ResumeToken;
  startAt: Timestamp;
  token: ResumeToken;
  topics: TopicRecord[];
  /** Raised with every owner; what an owner saves must match it. */
  epoch: Long;
  owner: string | null;
  expiresAt: Date | null;
  /** When its copy began. */
  startedAt: Date;
  /** What its last process ended with, where that was no stop that was asked for; null while one is at work. */
  ended?: Trouble | null;
  /** Documents of the copy, as the source estimated them when it was planned. */
  estimate?: Long;
  streamingAt?: Date;
  savedAt?: Date;
  /** Age of the oldest change of the source that is not downstream, by the source's clock, as it was then. */
  lag?: { ms: Long; at: Date };
  /** Absent where the oplog may not be read. */
  oplog?: OplogNote & { at: Date };
  /** Null or absent where nothing is spooled. */
  spool?: (SpoolNote & { at: Date }) | null;
};

/** The record as it lies on the target. */
export type StoredCapture = Omit<CaptureRecord, "start" | "token" | "spool"> & {
  start: StoredToken;
  token: StoredToken;
  spool?: (Omit<SpoolNote, "newest"> & { newest: StoredToken; at: Date }) | null;
};

export type NewCapture = Omit<CaptureRecord, "_id" | "plan" | "epoch" | "owner" | "expiresAt" | "startedAt">;

/** What is remembered of ferry's own capture; undefined where there is none. @throws FERRY_MONGO_* */
export const readCapture = async (state: StateDb): Promise<CaptureRecord | undefined> => {
  const captures = state.collection<StoredCapture>("capture");
  const found = await translated("reading the capture's record", () => captures.findOne({ _id: "capture" }));
  if (found === null) return undefined;
  const { start, token, spool, ...rest } = found;
  const newest = spool && { ...spool, newest: ResumeToken.stored(spool.newest) };
  return {
    ...rest,
    start: ResumeToken.stored(start),
    token: ResumeToken.stored(token),
    ...(newest === undefined ? {} : { spool: newest }),
  };
};

/** The capture's record for the process that owns it. Every method throws FERRY_MONGO_*. */
export class CaptureStore implements CaptureBook {
  readonly #state: StateDb;
  readonly #captures: Collection<StoredCapture>;
  readonly #ranges: Collection<RangeRecord>;
  readonly #owner: string;
  readonly #leaseMs: number;
  #epoch = Long.ZERO;

  constructor(state: StateDb, owner: string, leaseMs: number) {
    this.#state = state;
    this.#captures = state.collection("capture");
    this.#ranges = state.collection("copyRanges");
    this.#owner = owner;
    this.#leaseMs = leaseMs;
  }

  read(): Promise<CaptureRecord | undefined> {
    return readCapture(this.#state);
  }

  /**
   * Writes a new capture down, with its ranges before it: a record that is there has all of them.
   * @returns false where another process has begun one meanwhile
   */
  async begin(capture: NewCapture, ranges: readonly RangeRecord[]): Promise<boolean> {
    const record = { _id: "capture" as const, ...capture, epoch: Long.ZERO, owner: null, expiresAt: null };
    return translated("noting the start of the capture", () =>
      this.#withPlan(ranges, async (plan) => {
        try {
          await this.#captures.insertOne({ ...record, plan, startedAt: new Date() });
          return true;
        } catch (error) {
          if (hasServerCode(error, ServerCode.DuplicateKey)) return false;
          throw error;
        }
      }),
    );
  }

  /**
   * Writes ranges under a plan of their own, and lets `name` make it the capture's. Of processes that plan at the same time each has its
   * own ranges, and one its record; what the others wrote, and what was planned before, goes.
   * @param name true where the record names the plan now
   */
  async #withPlan(ranges: readonly RangeRecord[], name: (plan: string) => Promise<boolean>): Promise<boolean> {
    const plan = randomBytes(8).toString("hex");
    const former = await this.#plans();
    const planned = ranges.map((range) => ({ ...range, _id: `${range._id}/${plan}`, plan }));
    let named = false;
    try {
      for (let from = 0; from < planned.length; from += 1000)
        await this.#ranges.insertMany(planned.slice(from, from + 1000));
      faultPoint("mid-plan");
      named = await name(plan);
    } catch (error) {
      if (isFerry(error, "FERRY_FENCED")) await this.#ranges.deleteMany({ plan });
      throw error; // anything else may have named it: the next plan removes what no record names
    }
    await this.#ranges.deleteMany(named ? ofPlans(former) : { plan });
    return named;
  }

  /** Of everything that is planned by now; null for what an earlier version has left. */
  async #plans(): Promise<readonly (string | null)[]> {
    return [...(await this.#ranges.distinct("plan")).map((plan) => plan ?? null), null];
  }

  /** Takes the capture over from an owner that left or died. False while another one renews its lease. */
  async claim(): Promise<boolean> {
    const won = await translated("claiming the capture", () =>
      this.#captures.findOneAndUpdate(
        { _id: "capture", $expr: FREE },
        [
          {
            $set: {
              owner: this.#owner,
              epoch: { $add: ["$epoch", Long.ONE] },
              expiresAt: { $add: ["$$NOW", this.#leaseMs] },
              ended: null,
            },
          },
        ],
        { returnDocument: "after" },
      ),
    );
    if (won !== null) this.#epoch = Long.fromValue(won.epoch as Long | number);
    return won !== null;
  }

  /** Of this owner, since its claim. */
  get epoch(): number {
    return Number(this.#epoch);
  }

  #mine(): { _id: "capture"; epoch: Long } {
    return { _id: "capture", epoch: this.#epoch };
  }

  #check(matched: number): void {
    if (matched !== 1) throw new FerryError("FERRY_FENCED", "another process has taken the capture over");
  }

  async renew(): Promise<void> {
    const { matchedCount } = await translated("renewing the capture's lease", () =>
      this.#captures.updateOne(this.#mine(), [{ $set: { expiresAt: { $add: ["$$NOW", this.#leaseMs] } } }]),
    );
    this.#check(matchedCount);
  }

  /** Notes how far the run has followed what is wanted of it. @throws FERRY_FENCED */
  async follow(fields: Readonly<Omit<Lifecycle, "wanted" | "drainTo" | "accepted" | "refused">>): Promise<void> {
    const set = Object.fromEntries(Object.entries(fields).map(([name, value]) => [`lifecycle.${name}`, value]));
    const { matchedCount } = await translated("noting how far the run is", () =>
      this.#captures.updateOne(this.#mine(), { $set: set }),
    );
    this.#check(matchedCount);
  }

  /** It is drained and cannot end yet: it continues, and the caller of finalize gets the reason. @throws FERRY_FENCED */
  async refuse(refused: Trouble): Promise<void> {
    const { matchedCount } = await translated("noting why the run cannot end", () =>
      this.#captures.updateOne(this.#mine(), {
        $set: { "lifecycle.wanted": null, "lifecycle.refused": refused },
        $unset: { "lifecycle.drainTo": "", "lifecycle.accepted": "" },
      }),
    );
    this.#check(matchedCount);
  }

  /** Releases the capture with the error that ended the process, for later status; no-op if another process has taken over. */
  async leaveWith(ended: Trouble): Promise<void> {
    await translated("noting what the capture ended with", () =>
      this.#captures.updateOne(this.#mine(), { $set: { ended, owner: null, expiresAt: null } }),
    );
  }

  async release(): Promise<void> {
    await translated("releasing the capture", () =>
      this.#captures.updateOne(this.#mine(), { $set: { owner: null, expiresAt: null } }),
    );
  }

  async save(fields: Partial<Pick<CaptureRecord, "phase" | "token" | "topics" | "streamingAt">>): Promise<void> {
    faultPoint("before-checkpoint");
    const { matchedCount } = await translated("saving the capture's position", () =>
      this.#captures.updateOne(this.#mine(), { $set: { ...fields, savedAt: new Date() } }),
    );
    this.#check(matchedCount);
    faultPoint("after-checkpoint");
  }

  async noteOplog(oplog: OplogNote): Promise<void> {
    const { matchedCount } = await translated("noting the oplog's window", () =>
      this.#captures.updateOne(this.#mine(), { $set: { oplog: { ...oplog, at: new Date() } } }),
    );
    this.#check(matchedCount);
  }

  async noteLag(ms: number): Promise<void> {
    const lag = { ms: Long.fromNumber(Math.round(ms)), at: new Date() };
    const { matchedCount } = await translated("noting the lag", () =>
      this.#captures.updateOne(this.#mine(), { $set: { lag } }),
    );
    this.#check(matchedCount);
  }

  async noteSpool(note: SpoolNote | null): Promise<void> {
    const spool = note === null ? null : { ...note, at: new Date() };
    const { matchedCount } = await translated("noting what is spooled", () =>
      this.#captures.updateOne(this.#mine(), { $set: { spool } }),
    );
    this.#check(matchedCount);
  }

  /**
   * Carries back after more cutovers than before.
   * @param begun routes of what they sent over: if an earlier way back remembers them, it is forgotten
   * @param isOver the way back after the former ones has ended: this is a new one
   * @throws FERRY_FENCED
   */
  async widen(
    fields: Pick<CaptureRecord, "scope" | "token" | "topics"> & Readonly<{ behind: Behind }>,
    begun: readonly string[],
    isOver: boolean,
  ): Promise<void> {
    await forgetRoutes(this.#state, begun);
    const { matchedCount } = await translated("noting what else is carried back", () =>
      this.#captures.updateOne(this.#mine(), {
        $set: { ...fields, savedAt: new Date() },
        ...(isOver ? { $unset: { lifecycle: "" } } : {}),
      }),
    );
    this.#check(matchedCount);
  }

  /** Another capture takes its place: the target is being emptied for it. @throws FERRY_FENCED */
  async replaceBy(identity: Pick<CaptureRecord, "mode" | "source" | "scope">): Promise<void> {
    const { matchedCount } = await translated("noting that the target is emptied", () =>
      this.#captures.updateOne(this.#mine(), { $set: { ...identity, phase: "replacing" } }),
    );
    this.#check(matchedCount);
  }

  /** Ends the capture: what it remembers is of no use any more. @throws FERRY_FENCED */
  async forget(): Promise<void> {
    await translated("forgetting the capture", async () => {
      const former = await this.#plans();
      const { deletedCount } = await this.#captures.deleteOne(this.#mine());
      this.#check(deletedCount);
      await this.#ranges.deleteMany(ofPlans(former));
    });
  }

  /** Restarts the copy of all selected collections: the former position is deleted. @throws FERRY_FENCED */
  async restart(
    fields: Pick<CaptureRecord, "generation" | "timeSeries" | "start" | "startAt" | "topics" | "estimate">,
    ranges: readonly RangeRecord[],
  ): Promise<void> {
    await translated("noting the new start of the capture", () =>
      this.#withPlan(ranges, async (plan) => {
        const { matchedCount } = await this.#captures.updateOne(this.#mine(), {
          $set: { ...fields, plan, token: fields.start, phase: "copy", startedAt: new Date() },
        });
        this.#check(matchedCount);
        return true;
      }),
    );
  }

  async ranges({ generation, plan }: Pick<CaptureRecord, "generation" | "plan">): Promise<RangeRecord[]> {
    return translated("reading the copy's ranges", () =>
      this.#ranges
        .find({ generation, ...ofPlans([plan ?? null]) })
        .sort({ topic: 1, index: 1 })
        .toArray(),
    );
  }

  /** Moves ranges on: `at` is durable downstream. */
  async advance(ranges: readonly Pick<RangeRecord, "_id" | "at" | "documents" | "done">[]): Promise<void> {
    if (ranges.length === 0) return;
    faultPoint("before-checkpoint");
    await translated("saving the copy's progress", () =>
      this.#ranges.bulkWrite(
        ranges.map(({ _id, at, documents, done }) => ({
          updateOne: { filter: { _id, done: false }, update: { $set: { at, documents, done } } },
        })),
        { ordered: false },
      ),
    );
    faultPoint("after-checkpoint");
  }
}
