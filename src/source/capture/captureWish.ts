import type { CopyLimits } from "#source/copy/sourcePace.ts";

/** What an operator can request of a running capture. */
export type CaptureWish = Readonly<{
  /** Aborts when a caller waits for the capture to reach the source's present and to save its position there. */
  draining: AbortSignal;
  /** A position was saved. */
  onSaved: () => void;
  /** Called with what an operator allows the copy, whenever that changes. */
  onLimits?: (follow: (limits: CopyLimits) => void) => void;
}>;

/** The time for a step: one that a caller of a drain waits for is taken sooner. */
export const paceOf = ({ draining }: CaptureWish, ms: number): number => (draining.aborted ? DRAIN_MS : ms);

const DRAIN_MS = 20;
