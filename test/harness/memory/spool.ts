import { unlessAborted } from "#base/flow/abort.ts";
import type { EventSpool } from "#source/spool/eventSpool.ts";
import type { SpoolFrame } from "#source/spool/spoolFrames.ts";
import { type ResumeToken, tokenTime } from "#source/stream/resumeToken.ts";
import type { EventBatch } from "#source/stream/sourceStream.ts";

/** The files of one process, each frame one of its own: frames that follow a position. */
type Chain = { frames: readonly SpoolFrame[]; after: ResumeToken };

/** What lies on a machine: it outlives the processes. A new one takes the last one's frames over, and writes into files of its own. */
export type SpoolFiles = { last: Chain | undefined };

/** A spool in memory. `gate`: before each of its steps. */
export class MemorySpool implements EventSpool {
  readonly folder = "memory";
  readonly limitBytes: number;
  readonly #chain: Chain;
  readonly #gate: () => Promise<void>;
  #freed = Promise.withResolvers<void>();
  #full: string | undefined;
  /** Frames that are no longer there, and those that were played. */
  #removed = 0;
  played = 0;

  /** What does not lead on from a position is removed; what lies before it needs not be played. */
  constructor(files: SpoolFiles, from: ResumeToken, limitBytes: number, gate: () => Promise<void>) {
    this.limitBytes = limitBytes;
    this.#gate = gate;
    const isApart = files.last === undefined || tokenTime(files.last.after) > tokenTime(from);
    const frames = isApart ? [] : (files.last?.frames ?? []);
    this.#chain = { frames: frames.filter(({ token }) => tokenTime(token) > tokenTime(from)), after: from };
    files.last = this.#chain;
  }

  get newest(): ResumeToken {
    return this.#chain.frames.at(-1)?.token ?? this.#chain.after;
  }

  get bytes(): number {
    return this.#chain.frames.reduce((sum, { events }) => sum + events.reduce((n, { length }) => n + length, 0), 0);
  }

  get full(): string | undefined {
    return this.#full;
  }

  get isEmpty(): boolean {
    return this.#chain.frames.length === 0;
  }

  async append(frame: SpoolFrame): Promise<number> {
    await this.#gate();
    const bytes = frame.events.reduce((sum, { length }) => sum + length, 0);
    if (this.bytes > 0 && this.bytes + bytes > this.limitBytes) {
      this.#full = "it is full";
      return bytes;
    }
    this.#full = undefined;
    this.#chain.frames = [...this.#chain.frames, frame];
    await this.#gate();
    return 0;
  }

  async room(bytes: number, signal: AbortSignal): Promise<void> {
    while (this.bytes > 0 && this.bytes + bytes > this.limitBytes) {
      await unlessAborted(this.#freed.promise, signal);
      signal.throwIfAborted();
    }
  }

  async finish(): Promise<void> {
    this.#full = undefined;
  }

  async next(): Promise<EventBatch | undefined> {
    await this.#gate();
    const frame = this.#chain.frames[this.played - this.#removed];
    if (frame === undefined) return undefined;
    this.played++;
    return { ...frame, bytes: frame.events.reduce((sum, { length }) => sum + length, 0) };
  }

  async release(played: number): Promise<void> {
    while (this.#removed < played && this.#chain.frames.length > 0) {
      await this.#gate();
      const [first, ...rest] = this.#chain.frames;
      this.#chain.frames = rest;
      this.#chain.after = first?.token ?? this.#chain.after;
      this.#removed++;
    }
    this.#freed.resolve();
    this.#freed = Promise.withResolvers();
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}
