import type { Document, MongoClient } from "#io/mongo/connect.ts";
import { ChangeCursor, type StreamStart } from "#source/stream/changeCursor.ts";
import { eventTime } from "#source/stream/rawEvent.ts";
import { type ResumeToken, tokenTime } from "#source/stream/resumeToken.ts";
import type { Scope } from "#source/stream/scope.ts";
import { clusterTime } from "#source/stream/sourceProbe.ts";

/** Changes of documents: what a service does. Collections come, go and are indexed without one. */
const OF_DOCUMENTS = ["insert", "update", "replace", "delete"];

/** One reply of the server, ms. */
const WAIT_MS = 200;

/** What was found: the change's clusterTime where there is one, and the position up to which there is none otherwise. */
export type FirstChange = Readonly<{ at: bigint | undefined; seenTo: ResumeToken }>;

export type FirstChangeDeps = Readonly<{
  source: MongoClient;
  scope: Scope;
  /** Changes behind this position, or at this cluster time or later. */
  from: Exclude<StreamStart, "now">;
  signal: AbortSignal;
}>;

/**
 * The clusterTime of the first change of a carried document on the source, asked of the source itself and apart from whatever
 * carries it; undefined where there is none up to the source's time at the call.
 * @throws FERRY_MONGO_*, the signal's reason
 */
export const firstChange = async ({ source, scope, from, signal }: FirstChangeDeps): Promise<FirstChange> => {
  const until = (await clusterTime(source)).toBigInt();
  const pipeline: Document[] = [
    { $match: scope.match(false) },
    { $match: { operationType: { $in: OF_DOCUMENTS } } },
    { $project: { clusterTime: 1, ns: 1 } },
  ];
  const phase = "looking for changes of the source";
  const stream = { client: source, watch: scope.watch, from, pipeline, batchSize: 1, phase };
  await using cursor = await ChangeCursor.open(stream);
  for (;;) {
    signal.throwIfAborted();
    const { documents, token: seenTo } = await cursor.next({ batchSize: 1, maxTimeMS: WAIT_MS });
    const [first] = documents;
    if (first !== undefined) return { at: eventTime(first), seenTo };
    if (tokenTime(seenTo) >= until) return { at: undefined, seenTo };
  }
};
