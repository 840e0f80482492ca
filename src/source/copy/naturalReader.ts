import { type RawValue, rawField } from "#base/bson/rawValue.ts";
import { BsonType } from "#base/bson/walk.ts";
import { BsonWriter } from "#base/bson/writer.ts";
import { FerryError } from "#base/errors/ferryError.ts";
import type { Namespace } from "#base/flow/types.ts";
import type { MongoClient } from "#io/mongo/connect.ts";
import { translated } from "#io/mongo/errors.ts";
import { hasServerCode, ServerCode } from "#io/mongo/serverCodes.ts";
import { type Chunk, ChunkCursor, type ChunkReader } from "./chunkCursor.ts";
import type { CopySource } from "./copySource.ts";

/**
 * Records are numbered by each member for itself, and a member that was synced again numbers them differently: so a position names the
 * process whose numbers these are, beside the server's own token.
 */
const positionOf = (process: string, token: Uint8Array): Uint8Array => {
  const writer = new BsonWriter(128);
  const at = writer.open();
  writer.string("process", process);
  writer.document("token", token);
  writer.close(at);
  return writer.take();
};

/** The token in a position of this process; undefined where its numbers are another one's. */
const tokenIn = (position: Uint8Array, process: string): RawValue | undefined => {
  const by = rawField(position, "process");
  const isOurs =
    by?.type === BsonType.string && Buffer.from(by.bytes).toString("utf8", 4, by.bytes.length - 1) === process;
  return isOurs && process !== "" ? rawField(position, "token") : undefined;
};

/** Which process answers; empty where it does not say so. */
const readProcess = async (client: MongoClient): Promise<string> => {
  const hello = await translated("asking who answers", () => client.db("admin").command({ hello: 1 }));
  return String((hello["topologyVersion"] as { processId?: unknown } | undefined)?.processId ?? "");
};

/**
 * Reads a whole collection in natural order, raw: each page of the source once, where `_id`s in their own order would be spread
 * over all of them. It can resume while the same process has the same record; otherwise it restarts.
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
    const open = (token: RawValue | undefined): Promise<ChunkCursor> => {
      const from = token === undefined ? {} : { $_resumeAfter: token };
      const how = { hint: { $natural: 1 }, $_requestResumeToken: true, ...from };
      return ChunkCursor.open({ source, client, ns, how, at, averageBytes });
    };
    let cursor: ChunkCursor;
    try {
      cursor = await open(after && tokenIn(after, process));
    } catch (error) {
      if (!hasServerCode(error, ServerCode.KeyNotFound)) throw error; // the record after which it was to continue is deleted
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
    return { documents, bytes, ended, last: postBatchResumeToken && positionOf(this.#process, postBatchResumeToken) };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#cursor[Symbol.asyncDispose]();
  }
}
