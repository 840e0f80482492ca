import type { Document, MongoClient } from "#io/mongo/connect.ts";
import { ChangeCursor, type StreamStart } from "#source/stream/changeCursor.ts";
import { eventTime, namespaceIn } from "#source/stream/rawEvent.ts";
import { type ResumeToken, tokenTime } from "#source/stream/resumeToken.ts";
import type { Scope } from "#source/stream/scope.ts";
import { clusterTime } from "#source/stream/sourceProbe.ts";

/** Changes of documents: what a service does. Collections come, go and are indexed without one. */
const OF_DOCUMENTS = ["insert", "update", "replace", "delete"];

/** One reply of the server, ms; and changes in it: among those of a server's own collections may be one that counts. */
const WAIT_MS = 200;
const AT_ONCE = 100;

/** What was found: the change's clusterTime where there is one, and the position up to which there is none otherwise. */
export type FirstChange = Readonly<{ at: bigint | undefined; seenTo: ResumeToken }>;

export type FirstChangeDeps = Readonly<{
  source: MongoClient;
  scope: Scope;
  /** Are time series carried with their measurements? Their changes are those of their buckets, which the server shows if asked. */
  timeSeries: boolean;
  /** Changes after this position, or at this cluster time or later. */
  from: Exclude<StreamStart, "now">;
  signal: AbortSignal;
}>;

/**
 * The clusterTime of the first change of a carried document on the source, asked of the source itself and apart from whatever
 * carries it; undefined where there is none up to the source's time at the call.
 * @throws FERRY_MONGO_*, the signal's reason
 */
export const firstChange = async (deps: FirstChangeDeps): Promise<FirstChange> => {
  const { source, scope, timeSeries, from, signal } = deps;
  const until = (await clusterTime(source)).toBigInt();
  const pipeline: Document[] = [
    { $match: scope.match(timeSeries) },
    { $match: { operationType: { $in: OF_DOCUMENTS } } },
    { $project: { clusterTime: 1, ns: 1 } },
  ];
  const phase = "looking for changes of the source";
  const stream = timeSeries ? { showSystemEvents: true } : {};
  const options = { client: source, watch: scope.watch, from, stream, pipeline, batchSize: 1, phase };
  await using cursor = await ChangeCursor.open(options);
  for (;;) {
    signal.throwIfAborted();
    const { documents, token: seenTo } = await cursor.next({ batchSize: AT_ONCE, maxTimeMS: WAIT_MS });
    const first = documents.find((event) => scope.has(namespaceIn(event, "ns")));
    if (first !== undefined) return { at: eventTime(first), seenTo };
    if (tokenTime(seenTo) >= until) return { at: undefined, seenTo };
  }
};
