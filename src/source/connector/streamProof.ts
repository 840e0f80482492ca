import { isFerry } from "#base/errors/ferryError.ts";
import type { Clock } from "#base/flow/clock.ts";
import { waitFor } from "#base/flow/retry.ts";
import type { KafkaClient } from "#io/kafka/client.ts";
import type { MongoClient } from "#io/mongo/connect.ts";
import { isHistoryLost } from "#io/mongo/serverCodes.ts";
import { laterOf, type ResumeToken, secondsOf, tokenTime } from "#source/stream/resumeToken.ts";
import type { SeenChanges, SeenEvent } from "#source/stream/sourceProbe.ts";
import type { CaptureConfig } from "./connectorConfig.ts";
import { type ConnectorFinding, finding } from "./finding.ts";
import { eventText, lossFindings } from "./lossFindings.ts";
import { changesInScope, isChange, isRepeatable, isReshaped, topicOfEvent } from "./ownStream.ts";
import { patiently } from "./patience.ts";
import { searchTokens } from "./topicSearch.ts";

/**
 * Is what the source did since a position in the topic? ferry opens a change stream of its own there and looks for the
 * events' resume tokens in the topic. This finds what the connector's state RUNNING hides: a task without a cursor, a
 * stream that was reopened "from now", an offset that jumped.
 */
export type ProofRequest = Readonly<{
  connector: string;
  capture: CaptureConfig;
  /** Compared up to here before. */
  from: ResumeToken;
  /** The connector's stored offset. */
  current: ResumeToken;
  /** Reads the stored offset again; undefined when there is none. */
  reread: () => Promise<ResumeToken | undefined>;
  source: MongoClient;
  kafka: KafkaClient;
  clock: Clock;
  signal?: AbortSignal | undefined;
  /** Events younger than this may still be on their way, ms. */
  settleMs: number;
  /** How long a suspicion is watched before it is reported, ms. */
  patienceMs: number;
}>;

export type StreamProof = Readonly<{
  findings: readonly ConnectorFinding[];
  /** Everything before here is proven, or was given up as too much to compare. */
  verified: ResumeToken;
  /** The whole interval was compared. False also where the pipeline or privileges do not allow it. */
  complete: boolean;
  /** The oplog no longer reaches back to `current`. */
  historyLost: boolean;
  /** clusterTime of the first change that the topic does not have yet; absent where it has all that was compared. */
  pendingAt?: bigint | undefined;
}>;

/** At most so many events are compared; of a busier stream this is a sample. */
const MAX_EVENTS = 1000;
const STREAM_MS = 3000;
/** Where the first search begins, before the event, ms: what is there is found at little cost. */
const NEAR_MS = 2000;
/** Where the second one begins: no clocks of source and Connect differ by more. */
const FAR_MS = 24 * 3_600_000;

const look = ({ capture, source, clock }: ProofRequest, after: ResumeToken): Promise<SeenChanges> =>
  changesInScope({ capture, source, after, limit: MAX_EVENTS, maxMs: STREAM_MS, clock });

/**
 * Tokens of these events that no record carries which was written since `skewMs` before the event. undefined: too much to
 * search, or records that cannot be read here.
 */
const missingOf = async (
  request: ProofRequest,
  events: readonly SeenEvent[],
  skewMs: number,
): Promise<ReadonlySet<string> | undefined> => {
  const missing = new Set<string>();
  for (const [topic, group] of Map.groupBy(events, (event) => topicOfEvent(request.capture, event))) {
    const sinceMs = Math.min(...group.map(({ at }) => secondsOf(at))) * 1000 - skewMs;
    const tokens = new Set(group.map(({ token }) => token._data));
    const search = await patiently(request, `looking into ${topic}`, () =>
      searchTokens(request.kafka, topic, tokens, sinceMs),
    );
    if (!search.conclusive) return undefined;
    for (const token of search.missing) missing.add(token);
  }
  return missing;
};

const ends = (request: ProofRequest, topics: ReadonlySet<string>): Promise<string> =>
  patiently(request, "end offsets", () => endsOnce(request, topics));

const endsOnce = async (request: ProofRequest, topics: ReadonlySet<string>): Promise<string> => {
  const existing = new Set(await request.kafka.topics());
  const all = await Promise.all(
    [...topics].filter((t) => existing.has(t)).map((t) => request.kafka.offsets(t, "latest")),
  );
  return JSON.stringify(all);
};

/** Watches a suspicious connector for a while: does its offset or its topic move? */
const moves = async (request: ProofRequest, events: readonly SeenEvent[]): Promise<boolean> => {
  const topics = new Set(events.map((event) => topicOfEvent(request.capture, event)));
  const before = await ends(request, topics);
  try {
    return await waitFor(
      async () => {
        const token = await request.reread();
        const moved =
          (token !== undefined && token._data !== request.current._data) || (await ends(request, topics)) !== before;
        return moved ? { done: true } : { seen: "standing still" };
      },
      {
        what: "the connector",
        clock: request.clock,
        timeoutMs: request.patienceMs,
        everyMs: 500,
        signal: request.signal,
      },
    );
  } catch (error) {
    if (isFerry(error, "FERRY_TIMEOUT")) return false;
    throw error;
  }
};

/** What the missing events say. Passed is only what lies before the offset that was stored at the beginning. */
const verdict = (
  { connector, current }: ProofRequest,
  compared: number,
  missing: readonly SeenEvent[],
  moving: boolean,
): ConnectorFinding[] => {
  const [gone, waiting] = [
    missing.filter(({ at }) => at < tokenTime(current)),
    missing.filter(({ at }) => at >= tokenTime(current)),
  ];
  const findings = lossFindings(connector, compared, gone);
  const [stuckAt] = waiting;
  if (stuckAt !== undefined && !moving) {
    const sentence = `${eventText(stuckAt)} is not in the topic, and neither offset nor topic moves`;
    findings.push(finding("FERRY_CAPTURE_STUCK", connector, sentence));
  }
  return findings;
};

/** unclear: it could not be searched. pending: the first event that is still on its way. */
type TopicComparison = Readonly<{
  findings: readonly ConnectorFinding[];
  unclear: boolean;
  pending?: SeenEvent | undefined;
}>;

const compare = async (request: ProofRequest, settled: readonly SeenEvent[]): Promise<TopicComparison> => {
  const unclear = { findings: [], unclear: true };
  const suspected = await missingOf(request, settled, NEAR_MS);
  if (suspected === undefined) return unclear;
  if (suspected.size === 0) return { findings: [], unclear: false };
  const suspects = settled.filter(({ token }) => suspected.has(token._data));
  const moving = await moves(request, suspects);
  // What was in flight is there by now; and clocks that differ must not make a gap.
  const absent = await missingOf(request, suspects, FAR_MS);
  if (absent === undefined) return unclear;
  const missing = suspects.filter(({ token }) => absent.has(token._data));
  const findings = verdict(request, settled.length, missing, moving);
  return { findings, unclear: false, pending: missing.find(({ at }) => at >= tokenTime(request.current)) };
};

/** Compares; see `ProofRequest`. @throws FERRY_MONGO_*, FERRY_KAFKA_* */
export const proveStream = async (request: ProofRequest): Promise<StreamProof> => {
  const { capture, from, current, source, clock, settleMs } = request;
  let changes: SeenChanges;
  try {
    changes = await look(request, from);
  } catch (error) {
    if (!isHistoryLost(error)) throw error;
    // The interval can no longer be compared. Whether the connector itself could still resume is another question.
    const gone = from._data === current._data ? true : await isGone(request);
    return { findings: [], verified: current, complete: false, historyLost: gone };
  }
  if (isReshaped(capture)) return { findings: [], verified: current, complete: false, historyLost: false };
  const nowMs = await sourceClock(source, clock);
  const young = changes.events.findIndex(({ at }) => secondsOf(at) * 1000 + settleMs > nowMs);
  const settled = (young === -1 ? changes.events : changes.events.slice(0, young)).filter(isChange);
  const { findings, unclear, pending } = await compare(request, settled);
  const sampled = unclear || (!changes.complete && young === -1);
  const before = (index: number): ResumeToken => {
    const event = settled[index - 1];
    return event?.token ?? from;
  };
  const upTo = young === -1 ? changes.end : before(settled.length);
  return {
    findings,
    // Not past what is still on its way: it is compared again.
    verified: pending !== undefined ? before(settled.indexOf(pending)) : sampled ? laterOf(current, upTo) : upTo,
    complete: !sampled && isRepeatable(capture),
    historyLost: false,
    pendingAt: pending?.at,
  };
};

const isGone = async (request: ProofRequest): Promise<boolean> => {
  try {
    await look(request, request.current);
    return false;
  } catch (error) {
    if (isHistoryLost(error)) return true;
    throw error;
  }
};

const sourceClock = async (source: MongoClient, clock: Clock): Promise<number> => {
  const hello = await source.db("admin").command({ hello: 1 });
  return hello["localTime"] instanceof Date ? hello["localTime"].getTime() : clock.now();
};
