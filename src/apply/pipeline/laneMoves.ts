import type { DeadLetter } from "#apply/deadletter/records.ts";
import type { LaneState } from "#apply/lanes/claims.ts";
import { type LaneMove, type LaneTransactionOptions, type LaneWork, writeLane } from "#apply/lanes/laneTransaction.ts";
import type { Entry } from "#apply/plan/entry.ts";
import { NO_COUNTS } from "#base/flow/types.ts";
import type { ClientSession } from "#io/mongo/connect.ts";
import type { ConflictGate } from "./conflictGate.ts";
import type { DriftGate } from "./driftGate.ts";

export type LaneMovesDeps = LaneTransactionOptions &
  Readonly<{
    /** Looks at each document's shape; undefined keeps no ledger. */
    drift: DriftGate | undefined;
    /** Knows what others wrote on the target; undefined where the source owns whole documents. */
    conflicts: ConflictGate | undefined;
  }>;

/** What one transaction does, and which letters it stores. */
export type Batch = Omit<LaneWork, "at"> & Readonly<{ letters: readonly DeadLetter[] }>;

/** Where a lane stands, and the transactions that move it. */
export class LaneMoves {
  readonly #deps: LaneMovesDeps;
  readonly #session: ClientSession | undefined;
  readonly #isHeld: (key: Uint8Array) => boolean;
  #lane: LaneState;
  /** The poll of the target's watch that knows this lane's last transaction. */
  #since = 0;

  /** @param isHeld does a key wait behind a dead letter? */
  constructor(
    deps: LaneMovesDeps,
    lane: LaneState,
    session: ClientSession | undefined,
    isHeld: (key: Uint8Array) => boolean,
  ) {
    this.#deps = deps;
    this.#lane = lane;
    this.#session = session;
    this.#isHeld = isHeld;
  }

  /** Everything before its offset is on the target. */
  get state(): LaneState {
    return this.#lane;
  }

  /** False on a standalone target, where a batch may be replayed. */
  get isTransactional(): boolean {
    return this.#session !== undefined;
  }

  /** A move that leaves the lane where it is. */
  standing(): LaneMove {
    const { offset, at, logTimeMs } = this.#lane;
    return { offset, at, logTimeMs, counts: NO_COUNTS, filteredBy: {} };
  }

  /**
   * One transaction of the lane, with what is to be written to the drift ledger. Where the target has other writers each try
   * is prepared anew, as of the time that it reads.
   * @returns the letters that were stored. @throws FERRY_FENCED, FERRY_MONGO_*; Contended after `patience` write conflicts in a row
   */
  async move(
    entries: readonly Entry[],
    patience: number,
    prepare: (entries: readonly Entry[]) => Promise<Batch>,
  ): Promise<readonly DeadLetter[]> {
    const { drift, clock, conflicts } = this.#deps;
    const once = conflicts === undefined ? await prepare(entries) : undefined;
    const changes = drift?.take(entries, clock.now()) ?? [];
    let batch: Batch | undefined;
    let written = false;
    let tries = 0;
    const work = async (): Promise<LaneWork> => {
      // Whatever made the last try fail is known to a poll that is sent from now on.
      if (tries++ > 0) this.#since = conflicts?.now() ?? 0;
      const settlement = await conflicts?.settle(entries, this.#since, this.#isHeld);
      batch = once ?? (await prepare(settlement?.entries ?? entries));
      const { move, body } = batch;
      return {
        move,
        at: settlement?.at,
        body: async (session) => {
          await body(session);
          if (settlement !== undefined) await conflicts?.write(settlement, session);
          if (changes.length > 0) await drift?.write(changes, session);
        },
      };
    };
    try {
      this.#lane = await writeLane(this.#lane, this.#session, work, patience, this.#deps);
      written = true;
    } finally {
      this.#since = conflicts?.now() ?? 0;
      drift?.settle(changes, written);
    }
    return batch?.letters ?? [];
  }

  /** Writes counts of the drift ledger that no batch has taken along. @throws FERRY_FENCED, FERRY_MONGO_* */
  async saveDrift(): Promise<void> {
    const { drift, clock } = this.#deps;
    if (drift?.isDue(clock.now()) !== true) return;
    await this.move([], Number.POSITIVE_INFINITY, async () => ({
      letters: [],
      move: this.standing(),
      body: async () => undefined,
    }));
  }
}
