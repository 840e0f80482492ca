import type { CapturedRecord } from "#io/wire/captured.ts";

/**
 * Where captured records go: the memory log of `ferry run`, or Kafka. Append in the order of the source; a position may be
 * saved when everything that was appended before it is settled.
 */
export interface CaptureOutput {
  /** A topic that records are about to come for; a no-op where it is known. */
  open(topic: string): Promise<void>;
  /** Resolves when there is room for more: the only backpressure. @throws the signal's reason */
  append(topic: string, records: readonly CapturedRecord[], bytes: number, signal: AbortSignal): Promise<void>;
  /** Where every topic ends now. */
  ends(): ReadonlyMap<string, number>;
  /**
   * Resolves when everything before these ends needs no capture any more.
   * @param soon a caller waits for it: positions are saved immediately instead of later
   * @throws the signal's reason
   */
  settledTo(ends: ReadonlyMap<string, number>, signal: AbortSignal, soon?: boolean): Promise<void>;
}
