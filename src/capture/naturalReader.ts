import { BSON, type Document } from "bson";
import { FerryError, isFerry } from "#errors/ferryError.ts";
import type { Namespace } from "#flow/types.ts";
import type { MongoClient } from "#mongo/connect.ts";
import { translated } from "#mongo/errors.ts";
import { RawCursor, type RawReply } from "#mongo/rawCursor.ts";
import type { CopySource } from "./copySource.ts";
import { type Chunk, type ChunkReader, documentsPerChunk, majorityAt, waitsBehind } from "./rangeReader.ts";

/** Records are numbered by each member for itself, and a member that was synced anew numbers them anew. */
type Position = Readonly<{
  /** The process whose numbers these are. */
  process: string;
  /** The server's own, as it came. */
  token: Document;
}>;

/** KeyNotFound: the record after which the scan was to go on has been deleted. */
const RECORD_GONE = 211;

/** Which process answers; empty where it does not say so. */
const readProcess = async (client: MongoClient): Promise<string> => {
  const hello = await translated("asking who answers", () => client.db("admin").command({ hello: 1 }));
  return String((hello["topologyVersion"] as { processId?: unknown } | undefined)?.processId ?? "");
};

const EXACT = { promoteValues: false } as const;

/**
 * Reads a whole collection in natural order, raw: each page of the source once, where `_id`s in their own order would be spread
 * over all of them. It can go on where it was as long as the same process has the same record; otherwise it begins anew.
 */
export class NaturalReader implements ChunkReader {
  readonly #cursor: RawCursor;
  readonly #process: string;
  readonly #readsAhead: boolean;
  #ahead: Promise<RawReply> | undefined;
  #batchSize: number;
  expectedBytes: number | undefined;

  private constructor(cursor: RawCursor, process: string, batchSize: number, readsAhead: boolean) {
    this.#cursor = cursor;
    this.#process = process;
    this.#batchSize = batchSize;
    this.#readsAhead = readsAhead;
  }

  /**
   * @param after what a chunk's `last` was
   * @param averageBytes size of a document, about. @throws FERRY_MONGO_*
   */
  static async open(
    source: CopySource,
    ns: Namespace,
    { after, at }: Readonly<{ after: Uint8Array | undefined; at: bigint }>,
    averageBytes: number,
  ): Promise<NaturalReader> {
    const client = await source.client();
    const process = await readProcess(client);
    const position = after === undefined ? undefined : (BSON.deserialize(after, EXACT) as Position);
    const goesOn = position !== undefined && process !== "" && position.process === process;
    const batchSize = documentsPerChunk(averageBytes);
    const open = (token: Document | undefined): Promise<RawCursor> =>
      RawCursor.open({
        client,
        db: ns.db,
        command: {
          find: ns.coll,
          filter: {},
          hint: { $natural: 1 },
          $_requestResumeToken: true,
          ...(token === undefined ? {} : { $_resumeAfter: token }),
          batchSize,
          readConcern: majorityAt(at),
        },
        readPreference: source.readPreference,
        phase: `copying ${ns.db}.${ns.coll}`,
      });
    let cursor: RawCursor;
    try {
      cursor = await open(goesOn ? position.token : undefined);
    } catch (error) {
      if (!isFerry(error) || error.facts["serverCode"] !== RECORD_GONE) throw error;
      cursor = await open(undefined);
    }
    if ((await readProcess(client)) !== process) {
      await cursor[Symbol.asyncDispose]();
      throw new FerryError("FERRY_MONGO_TRANSIENT", "the source has another primary"); // whose numbers are the cursor's?
    }
    return new NaturalReader(cursor, process, batchSize, source.pace === undefined);
  }

  /** @throws FERRY_MONGO_* */
  async next(): Promise<Chunk> {
    const reply = await (this.#ahead ?? this.#cursor.next({ batchSize: this.#batchSize }));
    const { documents, bytes, ended, postBatchResumeToken } = reply;
    if (documents.length > 0) this.#batchSize = documentsPerChunk(bytes / documents.length);
    this.expectedBytes = bytes;
    const waits = waitsBehind(reply) || !this.#readsAhead;
    this.#ahead = waits ? undefined : this.#cursor.next({ batchSize: this.#batchSize });
    this.#ahead?.catch(() => undefined); // reported where it is awaited
    return { documents, bytes, ended, last: postBatchResumeToken && this.#position(postBatchResumeToken) };
  }

  #position(token: Uint8Array): Uint8Array {
    const position: Position = { process: this.#process, token: BSON.deserialize(token, EXACT) };
    return BSON.serialize(position);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#ahead?.catch(() => undefined); // a cursor must not be killed while it reads ahead
    await this.#cursor[Symbol.asyncDispose]();
  }
}
