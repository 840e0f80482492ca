import { Long, type Timestamp } from "bson";
import { int32At } from "#base/bson/walk.ts";
import { FerryError } from "#base/errors/ferryError.ts";
import type { ClientSession, Document, MongoClient, ReadPreferenceMode } from "./connect.ts";
import { translated } from "./errors.ts";

/**
 * A cursor by own commands, so that bodies are never decoded and the end of each reply is seen. The driver's public `raw`
 * option hands subdocuments of a reply out as bytes; the cursor's one is taken apart here.
 */
export type RawReply = Readonly<{
  /** The documents as the server packed them, a BSON array: two replies hold the same documents where these are equal. */
  batch: Uint8Array;
  /** Raw documents, views of one reply: who keeps one keeps all of them in memory. Divided at the first look. */
  documents: readonly Uint8Array[];
  /** Bytes of the documents together. */
  bytes: number;
  /** A change stream's position after these documents, raw; absent on other cursors. */
  postBatchResumeToken: Uint8Array | undefined;
  /** The server has no more: the cursor is gone there. */
  ended: boolean;
}>;

export type RawCursorOptions = Readonly<{
  client: MongoClient;
  db: string;
  /** `find` or `aggregate`, with its first batch's size; a cursor is opened by it. */
  command: Document;
  /** Of a cursor whose client leads to one member or to a mongos; the primary otherwise. */
  readPreference?: ReadPreferenceMode;
  /** What is being done, for errors. */
  phase: string;
}>;

const TYPE_DOCUMENT = 0x03;
const TYPE_ARRAY = 0x04;
const TYPE_INT64 = 0x12;

/** Sizes of the few types that a reply's `cursor` holds; the server writes them, so nothing else is expected. */
const sizeOf = (bytes: Buffer, type: number, at: number): number => {
  switch (type) {
    case TYPE_DOCUMENT:
    case TYPE_ARRAY:
      return bytes.readInt32LE(at);
    case 0x02:
      return 4 + bytes.readInt32LE(at);
    case 0x08:
      return 1;
    case 0x10:
      return 4;
    case 0x11:
    case 0x01:
    case 0x09:
    case TYPE_INT64:
      return 8;
    case 0x0a:
      return 0;
    default:
      throw new FerryError("FERRY_BUG", `a cursor reply has an element of type ${type}`);
  }
};

const divide = (batch: Uint8Array): { documents: Uint8Array[]; bytes: number } => {
  const documents: Uint8Array[] = [];
  let bytes = 0;
  eachDocument(batch, (start, end) => {
    documents.push(batch.subarray(start, end));
    bytes += end - start;
  });
  return { documents, bytes };
};

/** Where each document of a batch lies, in order. */
const eachDocument = (batch: Uint8Array, visit: (start: number, end: number) => void): void => {
  const last = batch.length - 1;
  for (let at = 4; at < last; ) {
    let value = at + 1;
    while (batch[value] !== 0) value++; // the index, as text
    value++;
    at = value + int32At(batch, value);
    visit(value, at);
  }
};

/** Counts a batch without dividing it: how many documents, and the last one. */
export const measureBatch = (batch: Uint8Array): { count: number; last: Uint8Array | undefined } => {
  let [count, from, to] = [0, 0, 0];
  eachDocument(batch, (start, end) => {
    count++;
    [from, to] = [start, end];
  });
  return { count, last: count === 0 ? undefined : batch.subarray(from, to) };
};

/** The first document of a batch, without dividing it; undefined where it is empty. */
export const firstOfBatch = (batch: Uint8Array): Uint8Array | undefined => {
  if (batch.length <= 5) return undefined;
  let value = 5;
  while (batch[value] !== 0) value++; // the index, as text
  value++;
  return batch.subarray(value, value + int32At(batch, value));
};

/** Takes a reply's `cursor` apart. */
const parse = (raw: Uint8Array): RawReply & Readonly<{ id: bigint; collection: string }> => {
  const bytes = Buffer.from(raw.buffer, raw.byteOffset, raw.byteLength);
  let [id, ns]: [bigint, string] = [0n, ""];
  let batch: Uint8Array = EMPTY;
  let divided: ReturnType<typeof divide> | undefined;
  let postBatchResumeToken: Uint8Array | undefined;
  for (let at = 4; at < bytes.length - 1; ) {
    const type = bytes[at] as number;
    const nameEnd = bytes.indexOf(0, at + 1);
    const name = bytes.toString("latin1", at + 1, nameEnd);
    const value = nameEnd + 1;
    const end = value + sizeOf(bytes, type, value);
    if (name === "id") id = bytes.readBigInt64LE(value);
    else if (name === "ns") ns = bytes.toString("utf8", value + 4, end - 1);
    else if (name === "postBatchResumeToken") postBatchResumeToken = Buffer.from(bytes.subarray(value, end));
    else if (type === TYPE_ARRAY) batch = bytes.subarray(value, end);
    at = end;
  }
  const collection = ns.slice(ns.indexOf(".") + 1);
  return {
    id,
    collection,
    batch,
    get documents() {
      divided ??= divide(batch);
      return divided.documents;
    },
    get bytes() {
      divided ??= divide(batch);
      return divided.bytes;
    },
    postBatchResumeToken,
    ended: id === 0n,
  };
};

/** An array without elements. */
const EMPTY = Buffer.from([5, 0, 0, 0, 0]);

/** Bodies stay bytes; a session's own times are kept by the driver. */
const RAW = { raw: true } as const;

export class RawCursor implements AsyncDisposable {
  readonly #options: RawCursorOptions;
  readonly #session: ClientSession;
  #id = 0n;
  #collection = "";
  #openedAt: Timestamp | undefined;
  /** The first reply, which came with the opening; handed out by the first `next`. */
  #first: RawReply | undefined;

  private constructor(options: RawCursorOptions) {
    this.#options = options;
    this.#session = options.client.startSession({ causalConsistency: false });
  }

  /** @throws FERRY_MONGO_* with `facts.serverCode` */
  static async open(options: RawCursorOptions): Promise<RawCursor> {
    const cursor = new RawCursor(options);
    try {
      cursor.#first = await cursor.#command(options.command);
      return cursor;
    } catch (error) {
      await cursor.#session.endSession();
      throw error;
    }
  }

  /** The server's clusterTime when the cursor was opened; undefined on a standalone server. */
  get openedAt(): Timestamp | undefined {
    return this.#openedAt;
  }

  async #command(command: Document): Promise<RawReply> {
    const { client, db, phase, readPreference = "primary" } = this.#options;
    const options = { session: this.#session, readPreference, ...RAW };
    const reply = await translated(phase, () => client.db(db).command(command, options));
    const parsed = parse(reply["cursor"] as unknown as Uint8Array);
    this.#openedAt ??= reply["operationTime"] as Timestamp | undefined;
    this.#id = parsed.id;
    if (parsed.collection !== "") this.#collection = parsed.collection;
    return parsed;
  }

  /**
   * The next reply. Call it again before working on the last one, and the server reads ahead.
   * @param more `batchSize`, and `maxTimeMS` for cursors that wait for data
   * @throws FERRY_MONGO_*
   */
  async next(more: Readonly<{ batchSize: number; maxTimeMS?: number }>): Promise<RawReply> {
    const first = this.#first;
    if (first !== undefined) {
      this.#first = undefined;
      return first;
    }
    return this.#command({ getMore: Long.fromBigInt(this.#id), collection: this.#collection, ...more });
  }

  /** Nothing waits on the server for a reader that has gone. */
  async [Symbol.asyncDispose](): Promise<void> {
    const { client, db } = this.#options;
    if (this.#id !== 0n)
      await client
        .db(db)
        .command({ killCursors: this.#collection, cursors: [Long.fromBigInt(this.#id)] }, { session: this.#session })
        .catch(() => undefined); // it expires on the server
    await this.#session.endSession();
  }
}

/** Everything that a command finds, raw; replies of so many documents at most. @throws FERRY_MONGO_* */
export const readAll = async (options: RawCursorOptions, batchSize: number): Promise<Uint8Array[]> => {
  await using cursor = await RawCursor.open(options);
  const found: Uint8Array[] = [];
  for (;;) {
    const { documents, ended } = await cursor.next({ batchSize });
    found.push(...documents);
    if (ended) return found;
  }
};
