import type { StateDb } from "#io/state/stateDb.ts";
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
