import { type FileHandle, mkdir, open, rmdir, unlink } from "node:fs/promises";
import { join } from "node:path";
import { FerryError } from "#base/errors/ferryError.ts";
import { unlessAborted } from "#base/flow/abort.ts";
import { faultPoint } from "#base/flow/fault.ts";
import type { ResumeToken } from "#source/stream/resumeToken.ts";
import type { EventBatch } from "#source/stream/sourceStream.ts";
import type { EventSpool } from "./eventSpool.ts";
import { folderOf, openChain, removeSpools, type Segment, type SpoolOwner, segmentName } from "./spoolChain.ts";
import { decodeFrame, encodeFrame, encodeHead, type SpoolFrame } from "./spoolFrames.ts";
import type { SpoolMode } from "./spoolNeed.ts";
import { readBodies } from "./spoolSegment.ts";

export type SpoolOptions = Readonly<{
  /** Folder of all spools; one below it belongs to one copy. */
  dir: string;
  limitBytes: number;
}>;

/** What an operator says of it. */
export type SpoolSettings = SpoolOptions & Readonly<{ mode: SpoolMode }>;

type OpenSegment = Segment & { readonly file: FileHandle };

/** A segment is at most this large, and at most this part of the whole: applied segments are deleted one by one. */
const SEGMENT_BYTES = 64 * 1024 * 1024;
const SEGMENTS = 8;

const writeAt = async (file: FileHandle, bytes: Buffer, at: number): Promise<void> => {
  for (let done = 0; done < bytes.length; )
    done += (await file.write(bytes, done, bytes.length - done, at + done)).bytesWritten;
};

/** Makes the entries of a folder durable. */
const syncFolder = async (folder: string): Promise<void> => {
  await using handle = await open(folder, "r");
  await handle.sync();
};

/**
 * The change stream's replies while the copy runs, in files of this machine: written behind, played ahead. Frames are durable
 * when `append` resolves. Files are removed when what they hold is on the target; until then nothing depends on them but time.
 */
export class Spool implements EventSpool {
  readonly #folder: string;
  readonly #owner: SpoolOwner;
  readonly #limitBytes: number;
  readonly #segmentBytes: number;
  #segments: Segment[] = [];
  /** Of the next file. */
  #number = 0;
  /** Removed so far, so that segments can be counted. */
  #removed = 0;
  #bytes = 0;
  #freed = Promise.withResolvers<void>();
  #writing: OpenSegment | undefined;
  #newest: ResumeToken;
  /** Why the last frame was not kept. */
  #full: string | undefined;
  /** Where playing is: in which segment, counted with the removed ones, and after which byte of it. */
  #playing = 0;
  #playedTo = 0;

  private constructor({ dir, limitBytes }: SpoolOptions, owner: SpoolOwner, from: ResumeToken) {
    this.#folder = folderOf(dir, owner);
    this.#owner = owner;
    this.#limitBytes = limitBytes;
    this.#segmentBytes = Math.min(SEGMENT_BYTES, limitBytes / SEGMENTS);
    this.#newest = from;
  }

  /**
   * What an earlier process left is checked and continued, from the position `from` on; what does not lead on from there is
   * removed: the source is asked instead. Writes nothing yet.
   * @throws FERRY_CAPTURE_SPOOL
   */
  static async open(options: SpoolOptions, owner: SpoolOwner, from: ResumeToken): Promise<Spool> {
    const spool = new Spool(options, owner, from);
    await removeSpools(options.dir, owner.capture, owner.generation);
    const { segments, playedTo, number } = await openChain(spool.#folder, owner, from);
    spool.#segments = segments;
    for (const { length } of segments) spool.#bytes += length;
    spool.#playedTo = playedTo;
    spool.#number = number;
    spool.#newest = segments.at(-1)?.last ?? from;
    return spool;
  }

  get folder(): string {
    return this.#folder;
  }

  get newest(): ResumeToken {
    return this.#newest;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get limitBytes(): number {
    return this.#limitBytes;
  }

  get full(): string | undefined {
    return this.#full;
  }

  get isEmpty(): boolean {
    return this.#segments.length === 0;
  }

  #fits(bytes: number): boolean {
    return this.#bytes === 0 || this.#bytes + bytes <= this.#limitBytes;
  }

  async append(frame: SpoolFrame): Promise<number> {
    const bytes = encodeFrame(frame);
    if (!this.#fits(bytes.length)) {
      this.#full = `it holds ${this.#bytes} bytes, and may hold ${this.#limitBytes}`;
      return bytes.length;
    }
    try {
      const segment = await this.#open();
      await writeAt(segment.file, bytes, segment.length);
      await segment.file.datasync();
      this.#bytes += bytes.length;
      segment.length += bytes.length;
      segment.last = frame.token;
    } catch (error) {
      await this.#takeBack();
      this.#full = (error as Error).message;
      throw error;
    }
    this.#full = undefined;
    this.#newest = frame.token;
    faultPoint("after-spool-frame");
    return 0;
  }

  /** After half a frame nothing may be written. */
  async #takeBack(): Promise<void> {
    const writing = this.#writing;
    await writing?.file.truncate(writing.length).catch(() => this.finish());
  }

  /** The segment that is written to. */
  async #open(): Promise<OpenSegment> {
    if (this.#writing !== undefined && this.#writing.length < this.#segmentBytes) return this.#writing;
    await this.finish();
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    const { epoch, capture, generation, start } = this.#owner;
    const path = join(this.#folder, segmentName(epoch, this.#number++));
    const after = this.#newest;
    const head = encodeHead({ format: 1, capture, generation, start, after });
    const file = await open(path, "wx", 0o600);
    try {
      await writeAt(file, head, 0);
      await syncFolder(this.#folder);
    } catch (error) {
      await file.close();
      await unlink(path).catch(() => undefined); // without a whole head it counts for nothing
      throw error;
    }
    this.#writing = { path, after, last: after, length: head.length, file };
    this.#bytes += head.length;
    this.#segments.push(this.#writing);
    return this.#writing;
  }

  async room(bytes: number, signal: AbortSignal): Promise<void> {
    while (!this.#fits(Math.max(bytes, this.#segmentBytes))) {
      await unlessAborted(this.#freed.promise, signal);
      signal.throwIfAborted();
    }
  }

  async finish(): Promise<void> {
    const writing = this.#writing;
    this.#writing = undefined;
    this.#full = undefined;
    await writing?.file.close();
  }

  async next(): Promise<EventBatch | undefined> {
    for (;;) {
      const segment = this.#segments[this.#playing - this.#removed];
      if (segment === undefined) return undefined;
      const batch = await this.#read(segment);
      if (batch !== undefined) return batch;
      if (segment === this.#writing) return undefined;
      this.#playing++;
      this.#playedTo = 0;
    }
  }

  async #read(segment: Segment): Promise<EventBatch | undefined> {
    const until = segment.length;
    if (this.#playedTo >= until) return undefined;
    for await (const { bodies, end } of readBodies(segment.path, this.#playedTo, until)) {
      const isHead = this.#playedTo === 0;
      this.#playedTo = end;
      const frames = bodies.slice(isHead ? 1 : 0).map(({ body }) => decodeFrame(body));
      const token = frames.at(-1)?.token;
      if (token === undefined) continue;
      const events = frames.flatMap((frame) => frame.events);
      return {
        events,
        bytes: events.reduce((sum, event) => sum + event.length, 0),
        token,
        invalidated: frames.some(({ invalidated }) => invalidated),
        cutDown: frames.some(({ cutDown }) => cutDown),
      };
    }
    if (this.#playedTo >= until) return undefined;
    throw new FerryError("FERRY_CAPTURE_SPOOL", `${segment.path} ends at byte ${this.#playedTo}, not at ${until}`);
  }

  get played(): number {
    return this.#playing;
  }

  async release(played: number): Promise<void> {
    for (let first = this.#segments[0]; first !== undefined && this.#removed < played; first = this.#segments[0]) {
      faultPoint("before-spool-delete");
      await unlink(first.path);
      this.#segments.shift();
      this.#removed++;
      this.#bytes -= first.length;
      this.#full = undefined;
    }
    this.#freed.resolve();
    this.#freed = Promise.withResolvers();
    if (this.isEmpty) await rmdir(this.#folder).catch(() => undefined); // never created, or it has another program's file
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.finish();
  }
}
