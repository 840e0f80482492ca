import { FerryError } from "#base/errors/ferryError.ts";
import type { Collection, Document } from "#io/mongo/connect.ts";
import { translated } from "#io/mongo/errors.ts";
import { FREE } from "#io/mongo/lease.ts";
import { hasServerCode, ServerCode } from "#io/mongo/serverCodes.ts";
import type { StateDb } from "#io/state/stateDb.ts";
import { isEnd } from "./cutoverTable.ts";
import type { CutoverMemory, CutoverRecord, Move, Seen } from "./record.ts";

/** What an operator asks for. */
export type Asked = Pick<CutoverRecord, "fence" | "namespaces" | "maxPauseMs">;

const PAUSED_MS = {
  $cond: [
    { $eq: [{ $type: "$entered.fencing" }, "date"] },
    { $subtract: ["$$NOW", "$entered.fencing"] },
    { $literal: 0 },
  ],
};

const cutoversIn = (state: StateDb): Collection<CutoverRecord> => state.collection("cutovers");

/** The newest; undefined where there was none. @throws FERRY_MONGO_* */
export const readNewestCutover = async (state: StateDb): Promise<Seen | undefined> => {
  const [found] = await translated("reading the cutover", () =>
    cutoversIn(state)
      .aggregate<CutoverRecord & { free: boolean; pausedMs: number }>([
        { $sort: { _id: -1 } },
        { $limit: 1 },
        { $set: { free: FREE, pausedMs: PAUSED_MS } },
      ])
      .toArray(),
  );
  if (found === undefined) return undefined;
  const { free, pausedMs, ...record } = found;
  return { record, free, pausedMs: Number(pausedMs) };
};

/** Those that have sent services over, the newest first; what went back, or was only tried, does not count. @throws FERRY_MONGO_* */
export const readSentOver = (state: StateDb): Promise<readonly CutoverRecord[]> =>
  translated("reading the cutovers", () =>
    cutoversIn(state)
      .find({ state: { $in: ["ending", "over"] } })
      .sort({ _id: -1 })
      .toArray(),
  );

/** `ferry.cutovers`, for the process that drives one. Every method throws FERRY_MONGO_*. */
export class CutoverStore implements CutoverMemory {
  readonly #state: StateDb;
  readonly #cutovers: Collection<CutoverRecord>;
  readonly #owner: string;
  readonly #leaseMs: number;

  constructor(state: StateDb, owner: string, leaseMs: number) {
    this.#state = state;
    this.#cutovers = cutoversIn(state);
    this.#owner = owner;
    this.#leaseMs = leaseMs;
  }

  latest(): Promise<Seen | undefined> {
    return readNewestCutover(this.#state);
  }

  /** A new one, driven by this process. @throws FERRY_CUTOVER_ALIVE while another one has not come to its end */
  async begin(asked: Asked): Promise<Seen> {
    const former = (await this.latest())?.record;
    if (former !== undefined && !isEnd(former.state)) throw alive(former);
    const _id = (former?._id ?? 0) + 1;
    const times = { epoch: 1, owner: this.#owner, expiresAt: new Date(), laps: {} };
    const entered = { checking: new Date() };
    const record: CutoverRecord = { _id, state: "checking", ...asked, ...times, entered };
    try {
      await translated("noting the cutover", () => this.#cutovers.insertOne(record));
    } catch (error) {
      if (hasServerCode(error, ServerCode.DuplicateKey)) throw alive(record);
      throw error;
    }
    await this.renew(record); // by the server's clock
    return { record, free: false, pausedMs: 0 };
  }

  /**
   * Drives a cutover that another process has begun.
   * @param by force: also one that another process drives now; its next step is refused
   * @throws FERRY_CUTOVER_ALIVE where another process drives it, FERRY_CUTOVER_TAKEN where it has gone on meanwhile
   */
  async take({ _id, epoch, state }: CutoverRecord, by: "lease" | "force"): Promise<Seen> {
    const filter = { _id, epoch, state, ...(by === "lease" ? { $expr: FREE } : {}) } as Document;
    const set = { owner: this.#owner, epoch: { $add: ["$epoch", 1] }, expiresAt: { $add: ["$$NOW", this.#leaseMs] } };
    const { matchedCount } = await translated("taking the cutover over", () =>
      this.#cutovers.updateOne(filter, [{ $set: set }]),
    );
    const seen = await this.latest();
    if (matchedCount === 1 && seen?.record.epoch === epoch + 1) return seen;
    throw seen !== undefined && seen.record.epoch === epoch && seen.record.state === state
      ? alive(seen.record)
      : taken();
  }

  async move(from: CutoverRecord, { to, lapMs, found = {}, refused }: Move): Promise<CutoverRecord> {
    const { _id, epoch, state } = from;
    const trouble = refused && { code: refused.code, detail: refused.detail, at: new Date() };
    const set = {
      ...{ state: to, [`laps.${state}`]: lapMs, ...found },
      // Why it went back is what made it turn, not what came on the way.
      ...(trouble === undefined || from.refused !== undefined ? {} : { refused: trouble }),
    };
    const inTime = { $expr: { $lt: [PAUSED_MS, from.maxPauseMs] } };
    const moved = await translated("noting the cutover's step", () =>
      this.#cutovers.findOneAndUpdate(
        { _id, epoch, state, ...(to === "releasing" ? inTime : {}) } as Document,
        { $set: set, $currentDate: { [`entered.${to}`]: true } } as Document,
        { returnDocument: "after" },
      ),
    );
    if (moved !== null) return moved;
    const now = (await this.latest())?.record;
    if (now?._id !== _id || now.epoch !== epoch) throw taken();
    if (now.state === to) return now; // done by an attempt whose answer was lost
    throw new FerryError("FERRY_CUTOVER_PAUSE", `services would have been released after ${from.maxPauseMs} ms`);
  }

  /** Leaves the rest to any other process. One that has taken it meanwhile keeps it. */
  async leave({ _id, epoch }: CutoverRecord): Promise<void> {
    await translated("leaving the cutover", () =>
      this.#cutovers.updateOne({ _id, epoch }, [{ $set: { expiresAt: "$$NOW" } }]),
    );
  }

  async renew({ _id, epoch }: CutoverRecord): Promise<void> {
    const { matchedCount } = await translated("renewing the cutover's lease", () =>
      this.#cutovers.updateOne({ _id, epoch }, [{ $set: { expiresAt: { $add: ["$$NOW", this.#leaseMs] } } }]),
    );
    if (matchedCount !== 1) throw taken();
  }
}

const alive = ({ _id, state, owner }: CutoverRecord): FerryError =>
  new FerryError("FERRY_CUTOVER_ALIVE", `cutover ${_id} is ${state}, driven by ${owner}`);

const taken = (): FerryError => new FerryError("FERRY_CUTOVER_TAKEN", "another process has taken the cutover over");
