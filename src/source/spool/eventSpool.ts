import type { ResumeToken } from "#source/stream/resumeToken.ts";
import type { EventBatch } from "#source/stream/sourceStream.ts";
import type { SpoolFrame } from "./spoolFrames.ts";

/**
 * The change stream's replies while the copy runs: written behind, played ahead. What `append` kept is there after a crash; nothing
 * depends on it but time.
 */
export interface EventSpool extends AsyncDisposable {
  /** Where it lies, for people. */
  readonly folder: string;
  /** The position after everything in it. */
  readonly newest: ResumeToken;
  readonly bytes: number;
  readonly limitBytes: number;
  /** Why it takes no more, as far as it knows; undefined where it does. */
  readonly full: string | undefined;
  /** Is there nothing that may have to be played? */
  readonly isEmpty: boolean;
  /** How many segments were played to their ends, since the beginning. */
  readonly played: number;
  /** Keeps a reply durably: 0. Else how many bytes there is no room for: see `room`. @throws what its storage says: nothing is kept then */
  append(frame: SpoolFrame): Promise<number>;
  /** Resolves when there is room for so much, which playing makes. @throws the signal's reason */
  room(bytes: number, signal: AbortSignal): Promise<void>;
  /** Nothing more is written. */
  finish(): Promise<void>;
  /** The next frames, as one reply; undefined where there are none now. @throws FERRY_CAPTURE_SPOOL */
  next(): Promise<EventBatch | undefined>;
  /** Removes segments that were played, and whose last position is saved. */
  release(played: number): Promise<void>;
}
