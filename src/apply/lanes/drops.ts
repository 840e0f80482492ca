import { type Binary, Long, Timestamp } from "bson";
import { FerryError } from "#base/errors/ferryError.ts";
import type { Clock } from "#base/flow/clock.ts";
import { retry } from "#base/flow/retry.ts";
import type { StateSession, StateTx } from "#base/flow/stateTx.ts";
import type { Collection } from "#io/mongo/connect.ts";
import { translated } from "#io/mongo/errors.ts";
import { within } from "#io/mongo/session.ts";
import type { StateDb } from "#io/state/stateDb.ts";
import type { ClaimRecords } from "./claimRecords.ts";
import { type LaneRecord, partitionId, type RunRecord } from "./laneRecords.ts";
import { takeFromOwners } from "./takeFromOwners.ts";

/**
 * Who applies a drop: a partition's claim. Its lanes stand still meanwhile, so that their first session is free; it is noted
 * with the claim, and the next owner ends it. A transaction of any other that is orphaned would hold the run's record for a minute.
 */
export type DropOwner = Readonly<{
  route: string;
  partition: number;
  epoch: number;
  /** None on a standalone target. */
  sessions: readonly StateSession[];
}>;

/** A collection of a route that is copied again after a rename, and the claim under which it is. */
export type Filling = Readonly<{ route: string; at: bigint; owner: DropOwner }>;

/** After this long the partition is released, and its next owner repeats the step, ms. */
const GIVE_UP_MS = 120_000;

const fillerOf = ({ route, partition, epoch }: DropOwner): string => `${partitionId(route, partition)}#${epoch}`;

/**
 * The barrier of a dropped collection, in the route's run record. A drop lands in one partition, and the others know
 * nothing of it; while it is applied no other client of ferry may write, and afterwards what is older than the drop must not come back.
 *
 * begin → no partition of the route is claimed any more (but the one that carries the drop)
 * fence → what was claimed before is fenced
 * finish → the other lanes go back far enough to have everything after the drop again; the drop's time is remembered
 *
 * Each step may be repeated by the next owner after a crash. Every method throws FERRY_MONGO_*.
 */
export class Drops {
  readonly #claims: ClaimRecords;
  readonly #clock: Clock;
  readonly #runs: Collection<RunRecord>;
  readonly #lanes: Collection<LaneRecord>;

  constructor(state: StateDb, claims: ClaimRecords, clock: Clock) {
    this.#claims = claims;
    this.#clock = clock;
    this.#runs = state.collection("runs");
    this.#lanes = state.collection("lanes");
  }

  /**
   * Closes the route. Answers with the incarnation of the collection that is to go: the one that was there when this drop
   * was first begun, so that an owner that was frozen meanwhile cannot drop what came after.
   */
  async begin(route: string, partition: number, at: bigint, uuid: Binary | undefined): Promise<Binary | undefined> {
    return translated(`closing ${route} for a drop`, async () => {
      const known = (await this.#runs.findOne({ _id: route }))?.dropping;
      if (known !== undefined && known.at.toBigInt() === at) return known.uuid ?? undefined;
      const dropping = { at: new Timestamp(at), partition, uuid: uuid ?? null };
      await this.#runs.updateOne({ _id: route }, { $set: { dropping } }, { upsert: true });
      return uuid;
    });
  }

  /** Takes every other partition from its owner: sessions ended, epochs raised, so that no write of theirs succeeds. */
  async fence(route: string, partition: number): Promise<void> {
    await takeFromOwners(this.#claims, route, partition);
  }

  /** The owner that copies the collection again is recorded: a former owner that wakes up can no longer write. */
  async take({ route, at, owner }: Filling): Promise<void> {
    await translated(`taking ${route} over`, () =>
      this.#runs.updateOne(
        { _id: route, "dropping.at": new Timestamp(at) },
        { $set: { "dropping.filler": fillerOf(owner) } },
      ),
    );
  }

  /** Writes into a closed route's collection, in one transaction with the proof that it is still closed for this filling. @throws FERRY_FENCED, FERRY_MONGO_* */
  async within({ route, at, owner }: Filling, write: (tx: StateTx | undefined) => Promise<void>): Promise<void> {
    const mine = { _id: route, "dropping.at": new Timestamp(at), "dropping.filler": fillerOf(owner) };
    await this.#inOne(`copying ${route} again`, owner, async (tx) => {
      const { matchedCount } = await this.#runs.updateOne(mine, { $inc: { "dropping.batches": 1 } }, within(tx));
      if (matchedCount === 0) throw new FerryError("FERRY_FENCED", `${route} is being copied again by another worker`);
      await write(tx);
    });
  }

  /** In one transaction where there are some, which is tried again while its failure passes by itself. */
  async #inOne(what: string, { sessions }: DropOwner, work: (tx: StateTx | undefined) => Promise<void>): Promise<void> {
    const [session] = sessions;
    const attempt = (): Promise<void> =>
      translated(what, async () => {
        if (session === undefined) await work(undefined);
        else await session.transaction(what, (tx) => work(tx).then(() => true));
      });
    await retry(attempt, { what, clock: this.#clock, giveUpAfterMs: GIVE_UP_MS });
  }

  /**
   * Opens the route again. `from`: per other partition, an offset at or before its first record after the drop. One step on a
   * target with transactions: an owner that was frozen until another had finished must not send the lanes back once more.
   */
  async finish({ route, at, owner }: Filling, from: ReadonlyMap<number, number>): Promise<void> {
    await this.#inOne(`opening ${route} after a drop`, owner, (tx) => this.#finish(route, at, from, within(tx)));
  }

  async #finish(
    route: string,
    at: bigint,
    from: ReadonlyMap<number, number>,
    options: ReturnType<typeof within>,
  ): Promise<void> {
    const dropping = { _id: route, "dropping.at": new Timestamp(at) };
    if ((await this.#runs.findOne(dropping, options)) === null) return; // another worker has finished it
    for (const [partition, offset] of from) {
      const back = Long.fromNumber(offset);
      await this.#lanes.updateMany({ route, partition, offset: { $gt: back } }, { $set: { offset: back } }, options);
    }
    const opened = { $set: { dropAt: new Timestamp(at) }, $unset: { dropping: "" as const } };
    await this.#runs.updateOne(dropping, opened, options);
  }
}
