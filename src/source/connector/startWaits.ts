import { FerryError, isFerry } from "#base/errors/ferryError.ts";
import { lookUntil } from "#base/flow/lookUntil.ts";
import { waitFor } from "#base/flow/retry.ts";
import type { KafkaClient } from "#io/kafka/client.ts";
import { type ConnectorStatus, failedPart } from "#source/connect/connectRest.ts";
import { readTrace } from "#source/connect/taskTrace.ts";
import type { ResumeToken } from "#source/stream/resumeToken.ts";
import { type CaptureConfig, topicsInScope } from "./connectorConfig.ts";
import { copyIsEmpty, estimateCopy } from "./connectorCopy.ts";
import { offsetState } from "./connectorOffsets.ts";
import type { ConnectorRecord } from "./connectorStore.ts";
import { patiently } from "./patience.ts";
import type { StartDeps } from "./startDeps.ts";

/** Connect commits offsets and moves connectors within seconds; a validation of the source may take half a minute. */
const SETTLE_MS = 90_000;
const POLL_MS = 200;
const OFFSET_MS = 15_000;
const PROGRESS_MS = 1000;
/** How often it is looked whether there is anything to copy at all, and how long that may take, ms. */
const EMPTY_MS = 5000;

/** @throws the failure of the connector or of one of its tasks, named, when there is one. */
export const throwIfFailed = (status: ConnectorStatus): void => {
  const failed = failedPart(status);
  if (failed === undefined) return;
  const { code, line } = readTrace(failed.trace ?? "");
  throw new FerryError(code, `connector ${status.name} FAILED: ${line}`);
};

export type WaitDeps = Pick<StartDeps, "rest" | "clock" | "signal" | "settleMs">;

const brief = (status: ConnectorStatus | undefined): string =>
  status === undefined ? "no status yet" : [status.connector, ...status.tasks].map(({ state }) => state).join(", ");

/** Waits until connector and task are RUNNING. @throws FERRY_CAPTURE_* when it FAILED, FERRY_TIMEOUT. */
export const awaitRunning = async (name: string, deps: WaitDeps): Promise<void> => {
  await waitFor(
    async () => {
      const status = await deps.rest.status(name);
      if (status !== undefined) throwIfFailed(status);
      const running =
        status?.connector.state === "RUNNING" &&
        status.tasks.length > 0 &&
        status.tasks.every(({ state }) => state === "RUNNING");
      return running ? { done: undefined } : { seen: brief(status) };
    },
    {
      what: `connector ${name} RUNNING`,
      clock: deps.clock,
      timeoutMs: deps.settleMs ?? SETTLE_MS,
      everyMs: POLL_MS,
      signal: deps.signal,
    },
  );
};

/** Stops the connector and waits until no task is left, so that its offset can be changed. @throws FERRY_TIMEOUT */
export const awaitStopped = async (name: string, deps: WaitDeps): Promise<void> => {
  await deps.rest.stop(name);
  await waitFor(
    async () => {
      const status = await deps.rest.status(name);
      const stopped = status?.connector.state === "STOPPED" && status.tasks.length === 0;
      return stopped ? { done: undefined } : { seen: brief(status) };
    },
    {
      what: `connector ${name} STOPPED`,
      clock: deps.clock,
      timeoutMs: deps.settleMs ?? SETTLE_MS,
      everyMs: POLL_MS,
      signal: deps.signal,
    },
  );
};

/** Connect takes an offset before it shows it, a moment later on a busy machine. @throws FERRY_CONNECT_REFUSED where it does not */
export const awaitOffset = async (
  name: string,
  partition: CaptureConfig["partition"],
  token: ResumeToken,
  { rest, clock, signal }: WaitDeps,
): Promise<void> => {
  const deadline = clock.now() + OFFSET_MS;
  await lookUntil(POLL_MS, { clock, signal }, async () => {
    const stored = offsetState(await rest.offsets(name), partition);
    if (stored.kind === "streaming" && stored.token.isAt(token)) return true;
    if (clock.now() < deadline) return false;
    throw new FerryError(
      "FERRY_CONNECT_REFUSED",
      `Connect did not take the offset of ${name}: ${JSON.stringify(stored)}`,
    );
  });
};

/** Records in the connector's topics, those removed by retention not counted. */
export const countRecords = (
  capture: CaptureConfig,
  deps: Pick<StartDeps, "kafka" | "clock" | "signal">,
): Promise<number> => patiently(deps, "counting records", () => countOnce(capture, deps.kafka));

const countOnce = async (capture: CaptureConfig, kafka: KafkaClient): Promise<number> => {
  let count = 0;
  for (const topic of topicsInScope(capture, await kafka.topics())) {
    const [earliest, latest] = await Promise.all([kafka.offsets(topic, "earliest"), kafka.offsets(topic, "latest")]);
    count += latest.reduce((sum, end, partition) => sum + end - (earliest[partition] ?? 0), 0);
  }
  return count;
};

/** Reports the copy's progress at most once a second. */
const progressMeter = async (capture: CaptureConfig, deps: StartDeps): Promise<() => Promise<void>> => {
  const { clock, report } = deps;
  const expected = await estimateCopy(deps.source, capture);
  const [began, base] = [clock.now(), await countRecords(capture, deps)];
  let last = 0;
  return async () => {
    if (clock.now() - last < PROGRESS_MS) return;
    last = clock.now();
    try {
      const copied = (await countOnce(capture, deps.kafka)) - base;
      report({ kind: "progress", copied, expected, perSecond: (copied * 1000) / Math.max(1, last - began) });
    } catch (error) {
      // A broker that is away stops the reports, not the start.
      if (!isFerry(error) || error.entry.retry === "never") throw error;
    }
  };
};

/**
 * Waits until the connector's copy is complete: until its stored offset is a position in the stream. However long that
 * takes; a Connect or broker that is away meanwhile is waited for.
 * @throws FERRY_CAPTURE_* when a task FAILED.
 */
export const awaitCopied = async (
  name: string,
  capture: CaptureConfig,
  record: ConnectorRecord,
  deps: StartDeps,
): Promise<void> => {
  const progress = await progressMeter(capture, deps);
  let looked = deps.clock.now();
  const isEmpty = async (): Promise<boolean> => {
    if (deps.clock.now() - looked < EMPTY_MS) return false;
    looked = deps.clock.now();
    await deps.store.set(name, {}); // says that this start is being attended to
    return (await copyIsEmpty(deps.source, capture, record.r0At, EMPTY_MS)) === true;
  };
  await waitFor(
    async () => {
      const status = await deps.rest.status(name);
      if (status !== undefined) throwIfFailed(status);
      const state = offsetState(await deps.rest.offsets(name), capture.partition);
      await progress();
      if (state.kind === "streaming") return { done: undefined };
      // Emptied before it was copied: the copy will never store an offset, and R0 covers all that comes.
      if ((await isEmpty()) && state.kind === "none") return { done: undefined };
      return { seen: `${state.kind}, ${brief(status)}` };
    },
    {
      what: `copy of ${name}`,
      clock: deps.clock,
      timeoutMs: Number.POSITIVE_INFINITY,
      everyMs: POLL_MS,
      signal: deps.signal,
    },
  );
};
