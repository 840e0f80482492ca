import { isFerry } from "#base/errors/ferryError.ts";
import type { Clock } from "#base/flow/clock.ts";
import type { KafkaClient } from "#io/kafka/client.ts";
import type { MongoClient } from "#io/mongo/connect.ts";
import { readConnectLog } from "#source/connect/connectLog.ts";
import { type ConnectorView, type ConnectRest, failedPart } from "#source/connect/connectRest.ts";
import { readTrace } from "#source/connect/taskTrace.ts";
import type { ResumeToken } from "#source/stream/resumeToken.ts";
import { changesAfter, noteStart } from "#source/stream/sourceProbe.ts";
import { type CaptureConfig, isSourceConnector, parseConnector } from "./connectorConfig.ts";
import { offsetState } from "./connectorOffsets.ts";
import type { ConnectorRecord, ConnectorStore } from "./connectorStore.ts";
import { type ConnectorFinding, finding } from "./finding.ts";
import { checkOplog } from "./oplogCheck.ts";
import { namesRefused } from "./refusedNames.ts";
import { proveStream } from "./streamProof.ts";

/** What a check needs. Each absent part leaves out what it would have shown. The caller owns and closes all of it. */
export type ConnectorHealthDeps = Readonly<{
  rest: ConnectRest;
  clock: Clock;
  signal?: AbortSignal | undefined;
  source?: MongoClient | undefined;
  kafka?: KafkaClient | undefined;
  store?: ConnectorStore | undefined;
  /** Log of a local Connect: it names what the REST API hides. */
  logFile?: string | undefined;
  /** Changes younger than this may still be on their way, ms. */
  settleMs?: number;
  /** How long a suspicion is watched before it is reported, ms. */
  patienceMs?: number;
}>;

/** `pendingAt`: clusterTime of the oldest change that the source has and a connector has not brought to its topic, where known. */
export type CaptureLook = Readonly<{ findings: readonly ConnectorFinding[]; pendingAt: bigint | undefined }>;

const SETTLE_MS = 10_000;
const PATIENCE_MS = 5000;
/** A start whose `ferry cx` has not been heard of for this long is abandoned, ms. */
const ABANDONED_MS = 30_000;

/**
 * Looks at every MongoDB source connector for what its state RUNNING does not tell: failed, standing still, reopened
 * "from now", copying again, about to fall off the oplog. One function for `ferry status`, `ferry check` and the workers,
 * which stop where `dataAtStake`. Findings about an interval stay until `ferry cx FILE --accept-gaps`.
 * @throws FERRY_CONNECT_* when Connect does not answer; FERRY_MONGO_*, FERRY_KAFKA_* likewise.
 */
export const checkCapture = async (deps: ConnectorHealthDeps): Promise<CaptureLook> => {
  const connectors = (await deps.rest.all()).filter(({ config }) => isSourceConnector(config));
  const records = new Map((await deps.store?.all())?.map((record) => [record._id, record]));
  const findings: ConnectorFinding[] = [];
  const pending: bigint[] = [];
  for (const connector of connectors) {
    const look = await unlessRemoved(() => checkConnector(connector, records.get(connector.name), deps));
    findings.push(...look.findings);
    if (look.pendingAt !== undefined) pending.push(look.pendingAt);
    records.delete(connector.name);
  }
  for (const record of records.values()) findings.push(...kept(record), ...checkAbsent(record, deps));
  return {
    findings,
    pendingAt: pending.reduce<bigint | undefined>((a, b) => (a === undefined || b < a ? b : a), undefined),
  };
};

const seen = (findings: readonly ConnectorFinding[], pendingAt?: bigint): CaptureLook => ({ findings, pendingAt });

/** A connector that ferry knows and Connect does not. */
const checkAbsent = (record: ConnectorRecord, deps: ConnectorHealthDeps): ConnectorFinding[] =>
  record.state === "streaming"
    ? [finding("FERRY_CAPTURE_NOT_RUNNING", record._id, `Connect has no connector ${record._id}`)]
    : checkAbandoned(record, deps);

const checkAbandoned = (record: ConnectorRecord, { clock }: ConnectorHealthDeps): ConnectorFinding[] =>
  record.state !== "streaming" && clock.now() - record.updatedAt.getTime() > ABANDONED_MS
    ? [finding("FERRY_CAPTURE_START_UNFINISHED", record._id, `the start of ${record._id} is at "${record.state}"`)]
    : [];

/** Connect lost it between two requests: it is being removed. */
const unlessRemoved = async (work: () => Promise<CaptureLook>): Promise<CaptureLook> => {
  try {
    return await work();
  } catch (error) {
    if (isFerry(error, "FERRY_CONNECT_MISSING")) return seen([]);
    throw error;
  }
};

const kept = (record: ConnectorRecord | undefined): ConnectorFinding[] =>
  (record?.open ?? []).map(({ code, sentence }) => finding(code, record?._id ?? "", sentence, { dataAtStake: true }));

const checkConnector = async (
  view: ConnectorView,
  record: ConnectorRecord | undefined,
  deps: ConnectorHealthDeps,
): Promise<CaptureLook> => {
  const capture = parseConnector(view.config);
  const offset = offsetState(await deps.rest.offsets(view.name), capture.partition);
  const state = await withNames(checkState(view, record), capture, deps);
  const findings = [...kept(record), ...state, ...checkStart(view, capture, record, deps)];
  if (record?.state === "streaming" && offset.kind === "copying" && record.kind !== "no-copy") {
    const sentence = `${view.name} copies again although its start was finished: deletes in between have no event`;
    findings.push(finding("FERRY_CAPTURE_COPY_AGAIN", view.name, sentence, { dataAtStake: true }));
  }
  if (deps.source === undefined) return seen(findings);
  if (offset.kind === "none") findings.push(...(await checkPipeline(view, capture, deps.source, deps.clock)));
  if (offset.kind !== "streaming") return seen(findings);
  if (record !== undefined && record.state !== "streaming") return seen(findings); // the rewind will send it all again
  const { token } = offset;
  findings.push(...(await checkOplog(view.name, capture, token, deps.source)));
  const stream = await checkStream(view, capture, token, record, deps);
  return seen([...findings, ...stream.findings], stream.pendingAt);
};

/** What Connect itself says. */
const checkState = ({ name, status }: ConnectorView, record: ConnectorRecord | undefined): ConnectorFinding[] => {
  const failed = failedPart(status);
  if (failed !== undefined) {
    const { code, line } = readTrace(failed.trace ?? "");
    return [finding(code, name, `${name} FAILED: ${line}`, { dataAtStake: code === "FERRY_CAPTURE_HISTORY_LOST" })];
  }
  const { state } = status.connector;
  const starting = record !== undefined && record.state !== "streaming";
  if ((state === "PAUSED" || state === "STOPPED") && !starting)
    return [finding("FERRY_CAPTURE_NOT_RUNNING", name, `${name} is ${state}`)];
  if (state === "RUNNING" && status.tasks.length === 0 && !starting)
    return [finding("FERRY_CAPTURE_NOT_RUNNING", name, `${name} is RUNNING, but has no task`)];
  return [];
};

/** Which collections Kafka takes no topic for: the trace alone does not always tell. */
const withNames = async (
  findings: readonly ConnectorFinding[],
  capture: CaptureConfig,
  { source, kafka }: ConnectorHealthDeps,
): Promise<ConnectorFinding[]> => {
  const more: ConnectorFinding[] = [];
  for (const one of findings) {
    const names =
      one.code === "FERRY_CAPTURE_TOPIC_NAME" && source !== undefined ? await namesRefused(capture, source, kafka) : [];
    more.push(names.length === 0 ? one : { ...one, sentence: [one.sentence, ...names].join("; ") });
  }
  return more;
};

/** How it was started. */
const checkStart = (
  { name }: ConnectorView,
  capture: CaptureConfig,
  record: ConnectorRecord | undefined,
  deps: ConnectorHealthDeps,
): ConnectorFinding[] => {
  const findings: ConnectorFinding[] = [];
  if (capture.tolerant) findings.push(finding("FERRY_CAPTURE_TOLERANT", name, `${name} has errors.tolerance=all`));
  if (deps.store === undefined) return findings;
  if (capture.startup === "copy_existing" && (record === undefined || record.kind === "adopted"))
    findings.push(finding("FERRY_CAPTURE_START_UNKNOWN", name, `${name} was started without ferry`));
  else if (record !== undefined) findings.push(...checkAbandoned(record, deps));
  return findings;
};

/** Compares topic and source since the last check. */
const checkStream = async (
  { name, status }: ConnectorView,
  capture: CaptureConfig,
  token: ResumeToken,
  record: ConnectorRecord | undefined,
  deps: ConnectorHealthDeps,
): Promise<CaptureLook> => {
  const { source, kafka, store, rest, clock, signal, logFile } = deps;
  const evidence =
    logFile === undefined
      ? {}
      : readConnectLog(logFile, name, record?.streamingAt?.getTime() ?? clock.now(), clock.now());
  if (evidence.noCursor !== undefined)
    return seen([
      finding("FERRY_CAPTURE_STUCK", name, `${name} has no cursor on the source; Connect's log: ${evidence.noCursor}`),
    ]);
  if (source === undefined || kafka === undefined) return seen([]);
  const proof = await proveOrExplain(name, () =>
    proveStream({
      connector: name,
      capture,
      from: record?.verified ?? token,
      current: token,
      reread: async () => {
        const again = offsetState(await rest.offsets(name), capture.partition);
        return again.kind === "streaming" ? again.token : undefined;
      },
      source,
      kafka,
      clock,
      signal,
      settleMs: deps.settleMs ?? SETTLE_MS,
      patienceMs: deps.patienceMs ?? PATIENCE_MS,
    }),
  );
  if (proof === undefined) return seen([]);
  if (!("verified" in proof)) return seen(proof.findings);
  const running = status.tasks.some(({ state }) => state === "RUNNING");
  const found = proof.findings.filter(({ code }) => code !== "FERRY_CAPTURE_STUCK" || running);
  if (proof.historyLost)
    found.push(
      finding(
        "FERRY_CAPTURE_OPLOG_SHORT",
        name,
        `the stored position of ${name} has fallen off the source's oplog: its open cursor still works, and any restart fails`,
      ),
    );
  const reopened = evidence.reopened ?? evidence.unpublished;
  if (reopened !== undefined && !proof.complete)
    found.push(
      finding("FERRY_CAPTURE_REOPENED", name, `${name} lost its place in the stream; Connect's log: ${reopened}`, {
        dataAtStake: true,
      }),
    );
  if (record !== undefined && store !== undefined) await remember(record, found, proof.verified, store, clock);
  const known = new Set(record?.open.map(({ sentence }) => sentence));
  return seen(
    found.filter(({ sentence }) => !known.has(sentence)),
    proof.pendingAt,
  );
};

/** Keeps what is about an interval that is behind us now, and up to where was compared. */
const remember = async (
  record: ConnectorRecord,
  found: readonly ConnectorFinding[],
  verified: ResumeToken,
  store: ConnectorStore,
  clock: Clock,
): Promise<void> => {
  const from = record.verified ?? record.r0;
  for (const { code, sentence, dataAtStake } of found)
    if (dataAtStake) await store.keep(record._id, { code, sentence, at: new Date(clock.now()), from });
  if (record.verified?._data !== verified._data) await store.set(record._id, { verified });
};

/**
 * A stream that the source refuses to ferry is refused to the connector too, which then is RUNNING without a cursor.
 * Without a stored offset there is nothing to compare, but this shows.
 */
const checkPipeline = async (
  { name, status }: ConnectorView,
  capture: CaptureConfig,
  source: MongoClient,
  clock: Clock,
): Promise<ConnectorFinding[]> => {
  const { pipeline, watch, streamOptions } = capture;
  if (pipeline === undefined || status.connector.state !== "RUNNING") return [];
  const proof = await proveOrExplain(name, async () => {
    const { token } = await noteStart(source, watch);
    await changesAfter(source, { watch, after: token, pipeline, streamOptions, limit: 1, maxMs: 0, clock });
    return undefined;
  });
  return [...(proof?.findings ?? [])];
};

type Explained = Readonly<{ findings: readonly ConnectorFinding[] }>;

/**
 * A user who may not open change streams still sees the rest (`ferry check` names the privilege). A stream that the
 * source refuses for its pipeline is a finding of its own.
 */
const proveOrExplain = async <T>(name: string, work: () => Promise<T>): Promise<T | Explained | undefined> => {
  try {
    return await work();
  } catch (error) {
    if (isFerry(error, "FERRY_MONGO_PRIVILEGE")) return undefined;
    if (!isFerry(error, "FERRY_MONGO_REJECTED", "FERRY_MONGO_COMMAND")) throw error;
    const sentence = `the source refuses the change stream of ${name}: ${error.detail}`;
    return { findings: [finding("FERRY_CAPTURE_STUCK", name, sentence)] };
  }
};
