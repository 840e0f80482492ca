import type { CollectionAt } from "#io/mongo/collections.ts";
import type { Document } from "#io/mongo/connect.ts";
import { idRange } from "#io/mongo/idRange.ts";
import { RawCursor, type RawReply } from "#io/mongo/rawCursor.ts";

/** Raw `{ _id }`s: from the first, which belongs to it, to the second, which does not; undefined: to that end of the collection. */
export type Bounds = Readonly<{ from: Uint8Array | undefined; to: Uint8Array | undefined }>;

/** Reads a range of a collection in the order of its `_id` index, one reply ahead. */
export class SideCursor implements AsyncDisposable {
  #cursor: RawCursor;
  readonly #batchSize: number;
  /** For the document that the first cursor leaves out (`idRange`); undefined once it is open. */
  #openHighest: (() => Promise<RawCursor>) | undefined;
  #ahead: Promise<RawReply> | undefined;

  private constructor(cursor: RawCursor, batchSize: number, openHighest: (() => Promise<RawCursor>) | undefined) {
    this.#cursor = cursor;
    this.#batchSize = batchSize;
    this.#openHighest = openHighest;
  }

  /** @param batchSize documents of each reply; the same on both sides, so that equal documents make equal replies. @throws FERRY_MONGO_* */
  static async open({ client, ns }: CollectionAt, { from, to }: Bounds, batchSize: number): Promise<SideCursor> {
    const { way, highest } = idRange(from, to);
    const phase = `verifying ${ns.db}.${ns.coll}`;
    const open = (how: Document): Promise<RawCursor> => {
      const command = { find: ns.coll, filter: {}, ...how, batchSize, readConcern: { level: "majority" } };
      return RawCursor.open({ client, db: ns.db, command, phase });
    };
    const openHighest = highest === undefined ? undefined : () => open(highest);
    return new SideCursor(await open(way), batchSize, openHighest);
  }

  /** The next reply; none after the one that ended it. @throws FERRY_MONGO_* */
  async next(): Promise<RawReply> {
    const reply = await (this.#ahead ?? this.#cursor.next({ batchSize: this.#batchSize }));
    const open = this.#openHighest;
    if (reply.ended && open !== undefined) {
      this.#openHighest = undefined;
      await this.#cursor[Symbol.asyncDispose]();
      this.#cursor = await open();
      this.#ahead = undefined;
      return { ...reply, ended: false };
    }
    this.#ahead = reply.ended ? undefined : this.#cursor.next({ batchSize: this.#batchSize });
    this.#ahead?.catch(() => undefined); // reported where it is awaited
    return reply;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#ahead?.catch(() => undefined); // a cursor must not be killed while it reads ahead
    await this.#cursor[Symbol.asyncDispose]();
  }
}
