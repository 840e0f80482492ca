import { Timestamp } from "bson";
import type { Namespace } from "#flow/types.ts";
import type { Document } from "#mongo/connect.ts";
import { RawCursor, type RawReply } from "#mongo/rawCursor.ts";
import { documentKeyOf } from "#wire/documentKey.ts";
import { boundValue } from "./copyRanges.ts";
import type { CopySource } from "./copySource.ts";

export type RangeBounds = Readonly<{
  /** Raw `{ _id }`s. `after` lies within the range: what comes behind it is still to be read. */
  from: Uint8Array | undefined;
  to: Uint8Array | undefined;
  after: Uint8Array | undefined;
  /** No document is older than this cluster time, whoever reads it: the stream begins there. */
  at: bigint;
}>;

/** Bytes of one chunk, about: large enough for the server, small enough that several wait in memory. */
const CHUNK_BYTES = 2 * 1024 * 1024;
const MAX_DOCUMENTS = 5000;
/** Behind a larger chunk nothing is read ahead: with documents of 16 MB every reader would hold two. */
const MAX_AHEAD_BYTES = 4 * 1024 * 1024;

export type Chunk = Readonly<{
  documents: readonly Uint8Array[];
  bytes: number;
  /** Where to go on after these: raw `{ _id }` of the last document, or a position in natural order. */
  last: Uint8Array | undefined;
  ended: boolean;
}>;

/** What reads a part of a collection, chunk by chunk. */
export interface ChunkReader extends AsyncDisposable {
  /** Bytes of the next chunk, about; undefined before the first one. */
  readonly expectedBytes: number | undefined;
  /** @throws FERRY_MONGO_* */
  next(): Promise<Chunk>;
}

/** What the majority has, at this cluster time or later, whichever member answers. */
export const majorityAt = (at: bigint): Document => ({
  level: "majority",
  afterClusterTime: Timestamp.fromBits(Number(at & 0xffffffffn), Number(at >> 32n)),
});

/** Is nothing to be asked for before this reply was worked on? */
export const waitsBehind = ({ ended, bytes }: RawReply): boolean => ended || bytes > MAX_AHEAD_BYTES;

const isSameKey = (document: Uint8Array | undefined, key: Uint8Array): boolean =>
  document !== undefined && Buffer.compare(documentKeyOf(document), key) === 0;

/**
 * Reads one range of a collection in the order of its `_id` index, raw. Bounds are the index's own (`min`, `max`): a `$gt`
 * would compare within one type only and pass over the `_id`s of every other. The chunk after the one that was handed out
 * is on its way meanwhile.
 */
export class RangeReader implements ChunkReader {
  readonly #cursor: RawCursor;
  readonly #after: Uint8Array | undefined;
  /** Where the source's time is rationed, it works for nobody who rests. */
  readonly #readsAhead: boolean;
  /** The next reply, where it was asked for already. */
  #ahead: Promise<RawReply> | undefined;
  #batchSize: number;
  #isFirst = true;
  /** Bytes of the next chunk, about; undefined before the first one. */
  expectedBytes: number | undefined;

  private constructor(cursor: RawCursor, after: Uint8Array | undefined, batchSize: number, readsAhead: boolean) {
    this.#cursor = cursor;
    this.#after = after;
    this.#batchSize = batchSize;
    this.#readsAhead = readsAhead;
  }

  /** @param averageBytes size of a document, about. @throws FERRY_MONGO_* */
  static async open(
    source: CopySource,
    { db, coll }: Namespace,
    { from, to, after, at }: RangeBounds,
    averageBytes: number,
  ): Promise<RangeReader> {
    const batchSize = documentsPerChunk(averageBytes);
    const min = after ?? from;
    const command: Document = {
      find: coll,
      filter: {},
      hint: { _id: 1 },
      sort: { _id: 1 },
      ...(min === undefined ? {} : { min: { _id: boundValue(min) } }),
      ...(to === undefined ? {} : { max: { _id: boundValue(to) } }),
      batchSize,
      readConcern: majorityAt(at),
    };
    const { readPreference, pace } = source;
    const client = await source.client();
    const cursor = await RawCursor.open({ client, db, command, readPreference, phase: `copying ${db}.${coll}` });
    return new RangeReader(cursor, after, batchSize, pace === undefined);
  }

  /** @throws FERRY_MONGO_* */
  async next(): Promise<Chunk> {
    const reply = await (this.#ahead ?? this.#cursor.next({ batchSize: this.#batchSize }));
    const { documents, bytes, ended } = reply;
    if (documents.length > 0) this.#batchSize = documentsPerChunk(bytes / documents.length);
    this.expectedBytes = bytes;
    const waits = waitsBehind(reply) || !this.#readsAhead;
    this.#ahead = waits ? undefined : this.#cursor.next({ batchSize: this.#batchSize });
    this.#ahead?.catch(() => undefined); // reported where it is awaited
    const last = documents.at(-1);
    // `min` includes its bound: the document that was copied last, if it is still there.
    const again = this.#isFirst && this.#after !== undefined && isSameKey(documents[0], this.#after);
    this.#isFirst = false;
    const [first] = documents;
    return {
      documents: again ? documents.slice(1) : documents,
      bytes: again && first !== undefined ? bytes - first.length : bytes,
      last: last === undefined ? undefined : documentKeyOf(last),
      ended,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#ahead?.catch(() => undefined); // a cursor must not be killed while it reads ahead
    await this.#cursor[Symbol.asyncDispose]();
  }
}

export const documentsPerChunk = (averageBytes: number): number =>
  Math.max(1, Math.min(MAX_DOCUMENTS, Math.floor(CHUNK_BYTES / Math.max(1, averageBytes))));
