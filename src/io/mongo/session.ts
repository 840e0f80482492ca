import { type Binary, type Document, type MongoClient, ReadConcern, type Timestamp, UUID } from "mongodb";
import type { StateSession, StateTx } from "#base/flow/stateTx.ts";
import type { ClientSession } from "./connect.ts";
import { translated } from "./errors.ts";

/**
 * The first bytes of the logical session id of every lane. The change events of a transaction carry its session's id, so
 * that ferry's own writes, of any worker, can be distinguished from others' on the target's change stream.
 */
const MARK = Buffer.from("ferry:");

/** The session of a lane's transactions: its id has ferry's mark. The caller ends it. */
export class LaneSession implements StateSession {
  readonly #session: ClientSession;
  readonly id: Binary;

  constructor(client: MongoClient) {
    // A transaction that reads at a given time must not ask for a later one as well.
    this.#session = client.startSession({ causalConsistency: false });
    this.id = this.#session.id?.["id"] as Binary;
    this.id.buffer.set(MARK); // before its first use; version and variant bits of the UUID lie further behind
  }

  async transaction(what: string, work: (tx: StateTx) => Promise<boolean>, at?: Timestamp): Promise<void> {
    const session = this.#session;
    const readConcern = at === undefined ? { level: "local" as const } : snapshotAt(at);
    session.startTransaction({ readConcern, writeConcern: { w: "majority" } });
    try {
      if (!(await work(txOf(session)))) return;
      await translated(what, () => session.commitTransaction());
    } finally {
      // The server forgets it by itself; what matters is that the session is ready for the next one.
      if (session.inTransaction()) await session.abortTransaction().catch(() => undefined);
    }
  }

  async end(): Promise<void> {
    await this.#session.endSession();
  }
}

const bound = (fill: number): UUID => new UUID(Buffer.concat([MARK, Buffer.alloc(16 - MARK.length, fill)]));

/** Change events of writes that no lane made. Writes outside of a transaction have no `lsid` at all. */
export const notOurs: Document = { "lsid.id": { $not: { $gte: bound(0x00), $lte: bound(0xff) } } };

/**
 * Reads, or a whole transaction, as of one instant. The driver's options know only the level; the server takes the time
 * beside it (MongoDB manual, "Read Concern snapshot": atClusterTime).
 */
const snapshotAt = (at: Timestamp): ReadConcern => Object.assign(new ReadConcern("snapshot"), { atClusterTime: at });

/** The transaction that is open in a session, as stores and sinks are handed it. */
export const txOf = (session: ClientSession): StateTx => session as unknown as StateTx;

/** Driver options for an operation that belongs to a transaction; none without one. */
export const within = (tx: StateTx | undefined): Readonly<{ session?: ClientSession }> =>
  tx === undefined ? {} : { session: tx as unknown as ClientSession };
