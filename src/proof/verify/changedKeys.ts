import { identityOf } from "#base/bson/identity.ts";
import { find, rawValue } from "#base/bson/walk.ts";
import { assert } from "#base/errors/ferryError.ts";
import { seriesOf } from "#base/flow/buckets.ts";
import { formatNamespace, type Namespace } from "#base/flow/types.ts";
import type { CollectionAt } from "#io/mongo/collections.ts";
import type { Document, MongoClient } from "#io/mongo/connect.ts";
import { documentKeyOf } from "#io/wire/documentKey.ts";
import { ChangeCursor } from "#source/stream/changeCursor.ts";
import { tokenTime } from "#source/stream/resumeToken.ts";
import type { Watch } from "#source/stream/watchLevel.ts";
import { timestampOf } from "./reads.ts";

const AT_ONCE = 10_000;
const WAIT_MS = 500;

/** A written document's `_id`, raw, and its namespace as text; without a key the collection itself was dropped or renamed. */
export type Changed = Readonly<{ ns: string; key: Uint8Array | undefined }>;

/** One reply. `upTo`: every write up to this clusterTime is in it or was in an earlier one. `ended`: a watched collection went. */
export type ChangedBatch = Readonly<{ changes: readonly Changed[]; upTo: bigint; ended: boolean }>;

const isAmong = (namespaces: readonly Namespace[]): Document => {
  const names = namespaces.map(({ db, coll }) => ({ db, coll }));
  return { $match: { $or: [{ ns: { $in: names } }, { to: { $in: names } }] } };
};

/** One collection, those of one database, or any: the narrowest that has them all. Buckets have no stream of their own. */
const watchOf = (namespaces: readonly Namespace[]): Watch => {
  const [first, ...others] = namespaces;
  assert(first !== undefined, "nothing is watched");
  if (others.length === 0 && seriesOf(first) === undefined) return { level: "collection", ...first };
  return others.every(({ db }) => db === first.db)
    ? { level: "database", db: first.db, coll: "" }
    : { level: "cluster", db: "", coll: "" };
};

const textIn = (document: Uint8Array, name: string): string => {
  const value = find(document, name);
  return value === undefined ? "" : Buffer.from(document).toString("utf8", value.start + 4, value.end - 1);
};

/** Which documents of some collections are written, by whomever: keys alone, from a clusterTime on. */
export class ChangedKeys implements AsyncDisposable {
  readonly #cursor: ChangeCursor;
  /** Namespaces by their bytes: few, and seen again and again. */
  readonly #names = new Map<string, string>();

  private constructor(cursor: ChangeCursor) {
    this.#cursor = cursor;
  }

  /** @param from clusterTime, inclusive. @throws FERRY_MONGO_* (`isHistoryLost` where the oplog no longer reaches back) */
  static async open(client: MongoClient, namespaces: readonly Namespace[], from: bigint): Promise<ChangedKeys> {
    const watch = watchOf(namespaces);
    const cursor = await ChangeCursor.open({
      ...{ client, watch, from: { at: timestampOf(from) } },
      stream: namespaces.some((ns) => seriesOf(ns) !== undefined) ? { showSystemEvents: true } : {},
      pipeline: [
        ...(watch.level === "collection" ? [] : [isAmong(namespaces)]),
        { $project: { documentKey: 1, ns: 1 } }, // bodies stay on the server
      ],
      phase: "watching what is verified",
    });
    return new ChangedKeys(cursor);
  }

  /** The next reply; waits a little where nothing is written. @throws FERRY_MONGO_* */
  async next(): Promise<ChangedBatch> {
    const { documents, token, ended } = await this.#cursor.next({ batchSize: AT_ONCE, maxTimeMS: WAIT_MS });
    return { changes: documents.map((event) => this.#changed(event)), upTo: tokenTime(token), ended };
  }

  #changed(event: Uint8Array): Changed {
    const [ns, key] = [rawValue(event, "ns"), rawValue(event, "documentKey")];
    return {
      ns: ns === undefined ? "" : this.#name(ns),
      key: key === undefined ? undefined : documentKeyOf(key), // outlives its reply, and is without a shard key
    };
  }

  #name(ns: Uint8Array): string {
    const bytes = Buffer.from(ns.buffer, ns.byteOffset, ns.byteLength).toString("latin1");
    const known = this.#names.get(bytes) ?? formatNamespace({ db: textIn(ns, "db"), coll: textIn(ns, "coll") });
    this.#names.set(bytes, known);
    return known;
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
  { client, ns }: CollectionAt,
  keys: readonly Uint8Array[],
  after: bigint,
  upTo: bigint,
  signal: AbortSignal,
): Promise<ReadonlySet<string>> => {
  const asked = new Set(keys.map(identityOf));
  await using changed = await ChangedKeys.open(client, [ns], after + 1n);
  const found = new Set<string>();
  for (let at = 0n; at < upTo; ) {
    signal.throwIfAborted();
    const batch = await changed.next();
    if (batch.ended || batch.changes.some(({ key }) => key === undefined)) return asked;
    for (const { key } of batch.changes) {
      const identity = identityOf(key as Uint8Array);
      if (asked.has(identity)) found.add(identity);
    }
    at = batch.upTo;
  }
  return found;
};
