import { BSON, type Document } from "bson";
import { FerryError, isFerry } from "#errors/ferryError.ts";
import type { Namespace } from "#flow/types.ts";
import type { MongoClient } from "#mongo/connect.ts";
import { translated } from "#mongo/errors.ts";
import { type Chunk, ChunkCursor, type ChunkReader } from "./chunkCursor.ts";
import type { CopySource } from "./copySource.ts";

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
  readonly #cursor: ChunkCursor;
  readonly #process: string;

  private constructor(cursor: ChunkCursor, process: string) {
    this.#cursor = cursor;
    this.#process = process;
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
    const open = (token: Document | undefined): Promise<ChunkCursor> => {
      const from = token === undefined ? {} : { $_resumeAfter: token };
      const how = { hint: { $natural: 1 }, $_requestResumeToken: true, ...from };
      return ChunkCursor.open({ source, client, ns, how, at, averageBytes });
    };
    let cursor: ChunkCursor;
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
    return new NaturalReader(cursor, process);
  }

  get expectedBytes(): number | undefined {
    return this.#cursor.expectedBytes;
  }

  /** @throws FERRY_MONGO_* */
  async next(): Promise<Chunk> {
    const { documents, bytes, ended, postBatchResumeToken } = await this.#cursor.next();
    return { documents, bytes, ended, last: postBatchResumeToken && this.#position(postBatchResumeToken) };
  }

  #position(token: Uint8Array): Uint8Array {
    const position: Position = { process: this.#process, token: BSON.deserialize(token, EXACT) };
    return BSON.serialize(position);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#cursor[Symbol.asyncDispose]();
  }
}
