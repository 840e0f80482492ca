import { Timestamp } from "bson";
import type { Namespace } from "#base/flow/types.ts";
import type { Document, MongoClient } from "#io/mongo/connect.ts";
import { RawCursor, type RawReply } from "#io/mongo/rawCursor.ts";
import type { CopySource } from "./copySource.ts";

/** Bytes of one chunk, about: large enough for the server, small enough that several wait in memory. */
const CHUNK_BYTES = 2 * 1024 * 1024;
const MAX_DOCUMENTS = 5000;
/** After a larger chunk nothing is read ahead: with documents of 16 MB every reader would hold two. */
const MAX_AHEAD_BYTES = 4 * 1024 * 1024;

export type Chunk = Readonly<{
  documents: readonly Uint8Array[];
  bytes: number;
  /** Where to continue after these: raw `{ _id }` of the last document, or a position in natural order. */
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

const documentsPerChunk = (averageBytes: number): number =>
  Math.max(1, Math.min(MAX_DOCUMENTS, Math.floor(CHUNK_BYTES / Math.max(1, averageBytes))));

/** What the majority has, at this cluster time or later, whichever member answers. */
const majorityAt = (at: bigint): Document => ({
  level: "majority",
  afterClusterTime: Timestamp.fromBits(Number(at & 0xffffffffn), Number(at >> 32n)),
});

export type ChunkCursorOptions = Readonly<{
  source: CopySource;
  /** One of the source's: the cursor lives where this leads. */
  client: MongoClient;
  ns: Namespace;
  /** Which way the `find` goes: its hint, sort, bounds. */
  how: Document;
  /** No document is older than this cluster time. */
  at: bigint;
  /** Size of a document, about. */
  averageBytes: number;
}>;

/** A cursor of the copy. Each reply is about as large as a chunk, and the one after it is on its way meanwhile. */
export class ChunkCursor implements AsyncDisposable {
  readonly #source: CopySource;
  readonly #cursor: RawCursor;
  /** While reads are limited, the source must not work for readers that pause. */
  readonly #readsAhead: boolean;
  /** The next reply, where it was asked for already. */
  #ahead: Promise<RawReply> | undefined;
  #batchSize: number;
  /** Bytes of the next chunk, about; undefined before the first one. */
  expectedBytes: number | undefined;

  private constructor(source: CopySource, cursor: RawCursor, batchSize: number) {
    this.#source = source;
    this.#cursor = cursor;
    this.#batchSize = batchSize;
    this.#readsAhead = source.pace === undefined;
  }

  /** @throws FERRY_MONGO_* */
  static async open({ source, client, ns, how, at, averageBytes }: ChunkCursorOptions): Promise<ChunkCursor> {
    const { readPreference } = source;
    const { db, coll } = ns;
    const batchSize = documentsPerChunk(averageBytes);
    const command = { find: coll, filter: {}, ...how, batchSize, readConcern: majorityAt(at) };
    const phase = `copying ${db}.${coll}`;
    const cursor = await source.answer(RawCursor.open({ client, db, command, readPreference, phase }));
    return new ChunkCursor(source, cursor, batchSize);
  }

  /** @throws FERRY_MONGO_* */
  async next(): Promise<RawReply> {
    const reply = await this.#source.answer(this.#ahead ?? this.#cursor.next({ batchSize: this.#batchSize }));
    const { documents, bytes, ended } = reply;
    if (documents.length > 0) this.#batchSize = documentsPerChunk(bytes / documents.length);
    this.expectedBytes = bytes;
    const waits = ended || bytes > MAX_AHEAD_BYTES || !this.#readsAhead;
    this.#ahead = waits ? undefined : this.#cursor.next({ batchSize: this.#batchSize });
    this.#ahead?.catch(() => undefined); // reported where it is awaited
    return reply;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#ahead?.catch(() => undefined); // a cursor must not be killed while it reads ahead
    await this.#cursor[Symbol.asyncDispose]();
  }
}
