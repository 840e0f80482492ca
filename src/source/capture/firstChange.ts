import type { Document, Timestamp } from "bson";
import { BsonType, find } from "#base/bson/walk.ts";
import type { MongoClient } from "#io/mongo/connect.ts";
import { RawCursor } from "#io/mongo/rawCursor.ts";
import { ResumeToken, tokenTime } from "#source/stream/resumeToken.ts";
import type { Scope } from "#source/stream/scope.ts";
import { clusterTime } from "#source/stream/sourceProbe.ts";

/** Changes of documents: what a service does. Collections come, go and are indexed without one. */
const OF_DOCUMENTS = ["insert", "update", "replace", "delete"];

/** One reply of the server, ms. */
const WAIT_MS = 200;

/** What was found: the change's clusterTime where there is one, and the position up to which there is none otherwise. */
export type FirstChange = Readonly<{ at: bigint | undefined; seenTo: ResumeToken | undefined }>;

/** clusterTime of a raw event as 64 bits; undefined where it has none. */
export const eventTime = (event: Uint8Array): bigint | undefined => {
  const found = find(event, "clusterTime");
  if (found?.type !== BsonType.timestamp) return undefined;
  return Buffer.from(event.buffer, event.byteOffset, event.byteLength).readBigUInt64LE(found.start);
};

export type FirstChangeDeps = Readonly<{
  source: MongoClient;
  scope: Scope;
  /** Changes behind this position, or at this cluster time or later. */
  from: Readonly<{ startAfter: ResumeToken }> | Readonly<{ startAtOperationTime: Timestamp }>;
  signal: AbortSignal;
}>;

/**
 * The clusterTime of the first change of a carried document on the source, asked of the source itself and apart from whatever
 * carries it; undefined where there is none up to the source's time at the call.
 * @throws FERRY_MONGO_*, the signal's reason
 */
export const firstChange = async ({ source, scope, from, signal }: FirstChangeDeps): Promise<FirstChange> => {
  const { level, db } = scope.watch;
  const until = (await clusterTime(source)).toBigInt();
  const named: Document[] = [
    { $match: scope.match(false) },
    { $match: { operationType: { $in: OF_DOCUMENTS } } },
    { $project: { clusterTime: 1, ns: 1 } },
  ];
  const stream = { ...(level === "cluster" ? { allChangesForCluster: true } : {}), ...from };
  const command = { aggregate: 1, pipeline: [{ $changeStream: stream }, ...named], cursor: { batchSize: 1 } };
  const phase = "looking for changes of the source";
  await using cursor = await RawCursor.open({ client: source, db: level === "cluster" ? "admin" : db, command, phase });
  for (;;) {
    signal.throwIfAborted();
    const { documents, postBatchResumeToken } = await cursor.next({ batchSize: 1, maxTimeMS: WAIT_MS });
    const [first] = documents;
    const seenTo = postBatchResumeToken && new ResumeToken(postBatchResumeToken);
    if (first !== undefined) return { at: eventTime(first), seenTo };
    if (seenTo !== undefined && tokenTime(seenTo) >= until) return { at: undefined, seenTo };
  }
};
