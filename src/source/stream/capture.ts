/**
 * A capture as the code that steers it sees it: the official connector's, and ferry's own into Kafka or directly to the target. It is
 * started by its own command, which alone knows what a start needs; from then on both are steered alike.
 *
 * The log is what the capture writes to: Kafka, or the target's lanes for `ferry run`.
 */
export interface Capture {
  /** As in a sentence: `ferry run`, or the connector's name. */
  readonly name: string;
  /** Resolves when nothing more is captured, or no process is there to do it; the position is kept. */
  pause(signal: AbortSignal): Promise<void>;
  /** Captures again from its position. */
  resume(): Promise<void>;
  /** Every change that the source made up to this clusterTime is in the log; undefined while documents are copied. */
  position(): Promise<bigint | undefined>;
  /**
   * Resolves when every change that the source made up to this clusterTime is in the log.
   * @throws what keeps it from getting there, the signal's reason
   */
  drainTo(at: bigint, signal: AbortSignal): Promise<void>;
}
