import { assert, FerryError } from "#base/errors/ferryError.ts";
import { readDeployment, sourceOf } from "#source/stream/deployment.ts";
import { type ResumeToken, timeText, tokenTime } from "#source/stream/resumeToken.ts";
import { canResume, listNamespaces, noteStart, type StartPoint } from "#source/stream/sourceProbe.ts";
import { type CaptureConfig, copiedNamespaces, topicOf } from "./connectorConfig.ts";
import { copyIsEmpty } from "./connectorCopy.ts";
import { type OffsetState, offsetAt, offsetState } from "./connectorOffsets.ts";
import {
  type ConnectorRecord,
  type NewConnector,
  type StartKind,
  type StartState,
  toTimestamp,
} from "./connectorStore.ts";
import { namesRefused } from "./refusedNames.ts";
import { requireEmptyTopics, requireSamePartition, requireSuitable } from "./startChecks.ts";
import type { StartDeps } from "./startDeps.ts";
import { offsetPartitionOf, sameConfig, startingConfig } from "./startupConfig.ts";
import { awaitCopied, awaitOffset, awaitRunning, awaitStopped } from "./startWaits.ts";

/**
 * A start without a gap. The connector loses writes that fall between its copy and its stream, and a restart in mid-copy
 * leaves deleted documents behind; both are cured by setting its offset, after the copy, back to a position that was
 * noted before it existed: everything since is sent again and the target converges. Each state is durable on the target
 * before its step begins (see `StartState`), every step can be repeated, so this can be killed anywhere and run again.
 */
export type StartRequest = Readonly<{
  name: string;
  capture: CaptureConfig;
  /** Take a topic that already holds records as it is. */
  acceptTopic: boolean;
  /** Of a streaming connector: send everything since the last position known to be good again. */
  replay: boolean;
}>;

/** started: from the beginning; continued: an unfinished start was finished; updated: it was streaming already. */
export type StartOutcome = Readonly<{ outcome: "started" | "continued" | "updated"; record: ConnectorRecord }>;

/** How long the source may look for one document that the copy would deliver, ms, before it is left to the copy. */
const EMPTY_PROBE_MS = 10_000;

const say = (deps: StartDeps, sentence: string): void => deps.report({ kind: "said", sentence });

const storedOffset = async ({ name, capture }: StartRequest, deps: StartDeps): Promise<OffsetState> =>
  offsetState(await deps.rest.offsets(name), capture.partition);

/**
 * Brings a source connector to streaming, with nothing lost between its copy and its stream.
 * @throws FERRY_CAPTURE_* for every state that cannot lead there, FERRY_CONNECT_*, FERRY_MONGO_*, FERRY_KAFKA_*.
 */
export const startConnector = async (request: StartRequest, deps: StartDeps): Promise<StartOutcome> => {
  const { name, capture } = request;
  requireSuitable(name, capture);
  for (const refused of await namesRefused(capture, deps.source, deps.kafka))
    say(deps, `Kafka accepts no topic with this name, and the connector would fail: ${refused}`);
  const known = await deps.store.find(name);
  if (known !== undefined) requireSamePartition(name, capture, known.partition);
  if (known?.state === "streaming") return update(request, known, deps);
  if (known === undefined && (await deps.rest.config(name)) !== undefined) return adopt(request, deps);
  const record = known ?? (await note(request, deps));
  return { outcome: known === undefined ? "started" : "continued", record: await drive(request, record, deps) };
};

const note = async (request: StartRequest, deps: StartDeps): Promise<ConnectorRecord> => {
  const { name, capture, acceptTopic } = request;
  if (!acceptTopic) await requireEmptyTopics(name, capture, deps);
  const start = await noteStart(deps.source, capture.watch);
  const kind: StartKind = capture.startup === "copy_existing" ? "copy" : "no-copy";
  const record = await deps.store.note(name, await describe(request, start, kind, "noted", deps));
  say(deps, `noted the start position on the source: ${timeText(record.r0At.toBigInt())}`);
  return record;
};

const describe = async (
  { capture }: StartRequest,
  { token, at }: StartPoint,
  kind: StartKind,
  state: StartState,
  deps: StartDeps,
): Promise<NewConnector> => {
  const namespaces = copiedNamespaces(capture, await listNamespaces(deps.source, capture.watch));
  const topics = namespaces.map((ns) => topicOf(capture.config, ns));
  const source = sourceOf(await readDeployment(deps.source));
  return { state, kind, source, topics, partition: capture.partition, r0: token, r0At: at };
};

/** Walks the states from wherever they stand. */
const drive = async (request: StartRequest, from: ConnectorRecord, deps: StartDeps): Promise<ConnectorRecord> => {
  let record = from;
  while (record.state !== "streaming") record = await STEPS[record.state](request, record, deps);
  return record;
};

type Step = (request: StartRequest, record: ConnectorRecord, deps: StartDeps) => Promise<ConnectorRecord>;

/** noted: the connector is created STOPPED, without an old offset; then it copies, or there is nothing to copy. */
const prepare: Step = async (request, record, deps) => {
  const { name, capture, acceptTopic } = request;
  if (record.kind !== "copy" && capture.startup === "timestamp") return startAtTimestamp(request, deps);
  await ensureStopped(request, deps);
  const left = await storedOffset(request, deps);
  if (left.kind === "streaming" && acceptTopic) {
    say(deps, `Connect still has a position of an earlier ${name}; the stream continues from there`);
    await rewind(request, left.token, deps);
    return deps.store.advance(name, "noted", "rewound", { kind: "adopted", r0: left.token });
  }
  if (left.kind !== "none") {
    say(deps, `Connect still had an offset of an earlier ${name}; it is deleted`);
    await deps.rest.deleteOffsets(name);
  }
  if (record.kind === "copy" && (await copyIsEmpty(deps.source, capture, record.r0At, EMPTY_PROBE_MS)) !== true) {
    return deps.store.advance(name, "noted", "copying");
  }
  // Nothing existed at some moment after R0: whatever comes to exist is an event after R0, and no copy is needed. An
  // empty copy would never store an offset (unless heartbeats are on), so that each restart would open the stream at now.
  if (record.kind === "copy") say(deps, "there is nothing to copy; the stream starts at the noted position");
  await rewind(request, record.r0, deps);
  const kind: StartKind = record.kind === "copy" ? "empty" : "no-copy";
  return deps.store.advance(name, "noted", "rewound", { kind, rewoundAt: record.r0At });
};

/** A timestamp start has its position in the configuration itself: until an offset is stored it begins there again. */
const startAtTimestamp = async ({ name, capture }: StartRequest, deps: StartDeps): Promise<ConnectorRecord> => {
  await deps.rest.putConfig(name, capture.config);
  await awaitRunning(name, deps);
  return deps.store.advance(name, "noted", "streaming", { streamingAt: new Date() });
};

/** The connector exists and is STOPPED, with the configuration of the copy. */
const ensureStopped = async ({ name, capture }: StartRequest, deps: StartDeps): Promise<void> => {
  const wanted = startingConfig(capture);
  const existing = await deps.rest.config(name);
  if (existing === undefined) await deps.rest.create(name, wanted, "STOPPED");
  await awaitStopped(name, deps);
  if (existing !== undefined && !sameConfig(existing, wanted)) await deps.rest.putConfig(name, wanted);
};

/** copying: run until the stored offset is one of the stream. Connect restarts a copy itself; R0 covers it. */
const copy: Step = async (request, record, deps) => {
  const { name, capture } = request;
  if ((await deps.rest.config(name)) === undefined) await deps.rest.create(name, startingConfig(capture), "STOPPED");
  const state = await storedOffset(request, deps);
  if (state.kind !== "streaming") {
    const config = await deps.rest.config(name);
    // A changed file takes effect (it may fix the cause of a failed copy); the same one must not restart a running copy.
    if (config === undefined || !sameConfig(config, startingConfig(capture)))
      await deps.rest.putConfig(name, startingConfig(capture));
    await deps.rest.resume(name);
    await deps.rest.restartFailed(name);
    await awaitCopied(name, capture, record, deps);
  }
  say(deps, "the copy is in the topic");
  return deps.store.advance(name, "copying", "copied");
};

/** copied: stop, set the offset back to R0. Only what the oplog still holds can be replayed. */
const goBack: Step = async (request, record, deps) => {
  await awaitStopped(request.name, deps);
  await rewind(request, record.r0, deps);
  const { at } = await noteStart(deps.source, request.capture.watch);
  say(deps, "the connector's offset is set back to the noted position");
  return deps.store.advance(request.name, "copied", "rewound", { rewoundAt: at });
};

/** The connector is STOPPED: its own configuration comes back, and its offset becomes the token. */
const rewind = async ({ name, capture }: StartRequest, token: ResumeToken, deps: StartDeps): Promise<void> => {
  if (!(await canResume(deps.source, capture.watch, token, deps.clock))) {
    throw new FerryError(
      "FERRY_CAPTURE_HISTORY_LOST",
      `the start position of ${name} (${timeText(tokenTime(token))}) fell off the source's oplog before the copy finished`,
    );
  }
  await deps.rest.putConfig(name, capture.config);
  await deps.rest.patchOffsets(name, [offsetAt(capture.partition, token)]);
  await awaitOffset(name, capture.partition, token, deps);
};

/** rewound: resume from R0. */
const resume: Step = async (request, record, deps) => {
  await ensureRunning(request, deps);
  return deps.store.advance(request.name, "rewound", "streaming", { streamingAt: new Date(), verified: record.r0 });
};

const ensureRunning = async ({ name, capture }: StartRequest, deps: StartDeps): Promise<void> => {
  if ((await deps.rest.config(name)) === undefined) await deps.rest.create(name, capture.config, "STOPPED");
  await deps.rest.resume(name);
  await deps.rest.restartFailed(name);
  await awaitRunning(name, deps);
};

const STEPS = { noted: prepare, copying: copy, copied: goBack, rewound: resume } as const;

/** A connector that streams already: its configuration is updated; a position that got lost is put back. */
const update = async (request: StartRequest, record: ConnectorRecord, deps: StartDeps): Promise<StartOutcome> => {
  const { name, capture } = request;
  const config = await deps.rest.config(name);
  if (config === undefined) {
    await deps.rest.create(name, capture.config, "STOPPED");
    await awaitStopped(name, deps);
  }
  const offset = await storedOffset(request, deps);
  if (offset.kind !== "streaming" || request.replay) return recover(request, record, offset, deps);
  if (config !== undefined && !sameConfig(config, capture.config)) {
    await deps.rest.putConfig(name, capture.config);
    say(deps, `${name} is already streaming; its configuration is updated`);
  } else say(deps, `${name} is already streaming; it continues from its stored position`);
  await ensureRunning(request, deps);
  return { outcome: "updated", record };
};

/** Before the oldest gap that was found, else where topic and source were last compared. */
const lastGood = ({ open, verified, r0 }: ConnectorRecord): ResumeToken =>
  open.map(({ from }) => from).reduce((a, b) => (tokenTime(b) < tokenTime(a) ? b : a), verified ?? r0);

/**
 * The stored offset is gone, changes are missing, or the connector has begun to copy again. The last position known to be good takes R0's
 * place: without a copy under way it is simply put back, after one it is gone back to, which replays the deletes.
 */
const recover = async (
  request: StartRequest,
  record: ConnectorRecord,
  offset: OffsetState,
  deps: StartDeps,
): Promise<StartOutcome> => {
  const { name, capture } = request;
  const good = lastGood(record);
  if (!(await canResume(deps.source, capture.watch, good, deps.clock)))
    throw new FerryError(
      "FERRY_CAPTURE_HISTORY_LOST",
      `the last good position of ${name} (${timeText(tokenTime(good))}) has fallen off the source's oplog`,
    );
  say(deps, `${name} is set back to the last good position, ${timeText(tokenTime(good))}`);
  const state: StartState = offset.kind === "copying" ? "copying" : "copied";
  const fields = { r0: good, r0At: toTimestamp(tokenTime(good)), verified: good, open: [], state };
  await deps.store.set(name, fields, { state: "streaming" });
  const again = await deps.store.find(name);
  assert(again !== undefined, `the record of ${name} vanished`);
  return { outcome: "continued", record: await drive(request, again, deps) };
};

/** A connector that ferry did not start. Its position is taken over when it streams; a foreign copy is not. */
const adopt = async (request: StartRequest, deps: StartDeps): Promise<StartOutcome> => {
  const { name, capture } = request;
  const config = (await deps.rest.config(name)) ?? {};
  requireSamePartition(name, capture, offsetPartitionOf(config));
  const offset = await storedOffset(request, deps);
  if (offset.kind !== "streaming")
    throw new FerryError(
      "FERRY_CAPTURE_START_UNKNOWN",
      `connector ${name} exists, was started without ferry and has not finished its copy`,
    );
  if (!sameConfig(config, capture.config)) await deps.rest.putConfig(name, capture.config);
  say(
    deps,
    `${name} is already streaming and was started without ferry: its configuration is updated; whether its start had a gap is unknown`,
  );
  await ensureRunning(request, deps);
  const start = { token: offset.token, at: toTimestamp(tokenTime(offset.token)) };
  const described = await describe(request, start, "adopted", "streaming", deps);
  const streaming = { ...described, streamingAt: new Date(), verified: start.token };
  return { outcome: "updated", record: await deps.store.note(name, streaming) };
};
