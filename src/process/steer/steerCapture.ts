import type { StateDb } from "#io/state/stateDb.ts";
import { RunControl } from "#source/capture/captureLifecycle.ts";
import type { CopyLimits } from "#source/copy/sourcePace.ts";
import type { Capture } from "#source/stream/capture.ts";
import { AuditLog, type Author } from "./auditLog.ts";

/** What is paused or resumed, and what it does now. */
export type Steered = Readonly<{ capture: Capture; now: string; state: StateDb; by: Author }>;

/** Asked for again, it is as paused as it is. @throws as `Capture.pause` */
export const pauseCapture = async ({ capture, now, state, by }: Steered, signal: AbortSignal): Promise<void> => {
  await new AuditLog(state).note(by, { action: "pause", on: capture.name, before: now, after: "paused" });
  await capture.pause(signal);
};

/** @throws as `Capture.resume` */
export const resumeCapture = async ({ capture, now, state, by }: Steered): Promise<void> => {
  await new AuditLog(state).note(by, { action: "resume", on: capture.name, before: now, after: "running" });
  await capture.resume();
};

/**
 * How fast a run may copy, from within a second on. What is left out is as the process was started; 0 is no limit.
 * @throws FERRY_RUN_NONE, FERRY_MONGO_*
 */
export const limitCopy = async (
  limits: CopyLimits,
  { state, by }: Readonly<{ state: StateDb; by: Author }>,
): Promise<void> => {
  const control = new RunControl(state);
  const { record } = await control.seen();
  const before = record.lifecycle?.limits ?? {};
  const after = Object.fromEntries(Object.entries(limits).filter(([, limit]) => limit !== undefined));
  await new AuditLog(state).note(by, { action: "throttle", on: "run", before, after });
  await control.limit(after);
};
