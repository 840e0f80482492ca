import { identityOf } from "#base/bson/identity.ts";
import { rawValue } from "#base/bson/walk.ts";
import { ChangeCursor } from "#source/stream/changeCursor.ts";
import { tokenTime } from "#source/stream/resumeToken.ts";
import { timestampOf } from "./reads.ts";
import type { Side } from "./side.ts";

const AT_ONCE = 10_000;
const WAIT_MS = 500;

/** Keys of one reply. `upTo`: every write up to this clusterTime is in it or was in an earlier one. `dropped`: the collection went. */
export type ChangedBatch = Readonly<{ keys: readonly Uint8Array[]; upTo: bigint; dropped: boolean }>;

/** Which documents of one collection are written, by whomever: keys alone, from a clusterTime on (inclusive). */
export class ChangedKeys implements AsyncDisposable {
  readonly #cursor: ChangeCursor;

  private constructor(cursor: ChangeCursor) {
    this.#cursor = cursor;
  }

  /** @throws FERRY_MONGO_* (`isHistoryLost` where the oplog no longer reaches back) */
  static async open({ client, ns }: Side, from: bigint): Promise<ChangedKeys> {
    const cursor = await ChangeCursor.open({
      client,
      watch: { level: "collection", ...ns },
      from: { at: timestampOf(from) },
      pipeline: [{ $project: { documentKey: 1 } }], // bodies stay on the server
      phase: `watching ${ns.db}.${ns.coll}`,
    });
    return new ChangedKeys(cursor);
  }

  /** The next reply; waits a little where nothing is written. @throws FERRY_MONGO_* */
  async next(): Promise<ChangedBatch> {
    const { documents, token, ended } = await this.#cursor.next({ batchSize: AT_ONCE, maxTimeMS: WAIT_MS });
    return {
      keys: documents.flatMap((event) => {
        const key = rawValue(event, "documentKey");
        return key === undefined ? [] : [Buffer.from(key)]; // outlives its reply
      }),
      upTo: tokenTime(token),
      dropped: ended,
    };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#cursor[Symbol.asyncDispose]();
  }
}

/**
 * Which of these did a collection change after one clusterTime and up to another? By identity; all of them where the collection
 * went meanwhile. @throws FERRY_MONGO_*, the signal's reason
 */
export const changedBetween = async (
  side: Side,
  keys: readonly Uint8Array[],
  after: bigint,
  upTo: bigint,
  signal: AbortSignal,
): Promise<ReadonlySet<string>> => {
  const asked = new Set(keys.map(identityOf));
  await using changed = await ChangedKeys.open(side, after + 1n);
  const found = new Set<string>();
  for (let at = 0n; at < upTo; ) {
    signal.throwIfAborted();
    const batch = await changed.next();
    if (batch.dropped) return asked;
    for (const key of batch.keys) {
      const identity = identityOf(key);
      if (asked.has(identity)) found.add(identity);
    }
    at = batch.upTo;
  }
  return found;
};
