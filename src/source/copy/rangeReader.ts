import type { Namespace } from "#base/flow/types.ts";
import type { Document } from "#io/mongo/connect.ts";
import { idRange } from "#io/mongo/idRange.ts";
import { documentKeyOf } from "#io/wire/documentKey.ts";
import { type Chunk, ChunkCursor, type ChunkReader } from "./chunkCursor.ts";
import type { CopySource } from "./copySource.ts";

export type RangeBounds = Readonly<{
  /** Raw `{ _id }`s. `after` lies within the range: what comes after it is still to be read. */
  from: Uint8Array | undefined;
  to: Uint8Array | undefined;
  after: Uint8Array | undefined;
  /** No document is older than this cluster time, on any member: the stream starts there. */
  at: bigint;
}>;

const isSameKey = (document: Uint8Array | undefined, key: Uint8Array): boolean =>
  document !== undefined && Buffer.compare(documentKeyOf(document), key) === 0;

/**
 * Reads one range of a collection in the order of its `_id` index, raw. Bounds are the index's own (`min`, `max`): a `$gt`
 * would compare within one type only and pass over the `_id`s of every other.
 */
export class RangeReader implements ChunkReader {
  readonly #cursor: ChunkCursor;
  readonly #after: Uint8Array | undefined;
  readonly #openHighest: (() => Promise<ChunkCursor>) | undefined;
  #isFirst = true;

  private constructor(
    cursor: ChunkCursor,
    after: Uint8Array | undefined,
    openHighest: (() => Promise<ChunkCursor>) | undefined,
  ) {
    this.#cursor = cursor;
    this.#after = after;
    this.#openHighest = openHighest;
  }

  /** @param averageBytes size of a document, about. @throws FERRY_MONGO_* */
  static async open(
    source: CopySource,
    ns: Namespace,
    { from, to, after, at }: RangeBounds,
    averageBytes: number,
  ): Promise<RangeReader> {
    const { way, highest } = idRange(after ?? from, to);
    const client = await source.client();
    const open = (how: Document): Promise<ChunkCursor> =>
      ChunkCursor.open({ source, client, ns, how, at, averageBytes });
    const openHighest = highest === undefined ? undefined : () => open(highest);
    return new RangeReader(await open(way), after, openHighest);
  }

  get expectedBytes(): number | undefined {
    return this.#cursor.expectedBytes;
  }

  /** @throws FERRY_MONGO_* */
  async next(): Promise<Chunk> {
    const reply = await this.#cursor.next();
    const highest = reply.ended ? await this.#highest() : [];
    const documents = highest.length === 0 ? reply.documents : [...reply.documents, ...highest];
    const bytes = highest.reduce((sum, { length }) => sum + length, reply.bytes);
    const { ended } = reply;
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

  async #highest(): Promise<readonly Uint8Array[]> {
    if (this.#openHighest === undefined) return [];
    await using cursor = await this.#openHighest();
    return (await cursor.next()).documents;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#cursor[Symbol.asyncDispose]();
  }
}
