import { BSON, type Document, Int32, Timestamp } from "bson";
import type { Clock } from "#base/flow/clock.ts";
import type { CaptureSource } from "#source/capture/captureSource.ts";
import type { Chunk, ChunkReader } from "#source/copy/chunkCursor.ts";
import type { RangeSource, RestOfRange } from "#source/copy/rangeSource.ts";
import { ResumeToken, tokenTime } from "#source/stream/resumeToken.ts";
import type { Changes, EventBatch } from "#source/stream/sourceStream.ts";

/** One change: its event without the document, which is looked up when the event is read, as a server does it. */
type Change = Readonly<{ at: bigint; key: number; event: Document; looksUp: boolean }>;

export const tokenAt = (at: bigint): ResumeToken =>
  ResumeToken.stored({ _data: `82${at.toString(16).padStart(16, "0").toUpperCase()}` });

/** A collection of a source in memory, with everything that was done to it. Keys are small numbers. */
export class MemorySource {
  readonly documents = new Map<number, Document>();
  readonly #ns: Readonly<{ db: string; coll: string }>;
  readonly #changes: Change[] = [];
  #at = 1n << 32n;

  constructor(ns: Readonly<{ db: string; coll: string }>) {
    this.#ns = ns;
  }

  /** clusterTime of its newest entry. */
  get at(): bigint {
    return this.#at;
  }

  /** Entries of its oplog after the copy began, by clusterTime. */
  get changes(): readonly Change[] {
    return this.#changes;
  }

  /** An entry that is no event. */
  note(): void {
    this.#at += 1n << 32n;
  }

  #add(key: number, operationType: string, more: Document, looksUp = false): void {
    this.note();
    const clusterTime = new Timestamp(this.#at);
    const _id = { _data: tokenAt(this.#at)._data };
    const event = { _id, operationType, clusterTime, ns: this.#ns, documentKey: { _id: new Int32(key) }, ...more };
    this.#changes.push({ at: this.#at, key, event, looksUp });
  }

  /** Undefined removes it. */
  put(key: number, fields: Document | undefined): void {
    const was = this.documents.has(key);
    if (fields === undefined) {
      if (was) this.#add(key, "delete", {});
      this.documents.delete(key);
      return;
    }
    const document = { _id: new Int32(key), ...fields };
    this.documents.set(key, document);
    this.#add(key, was ? "replace" : "insert", { fullDocument: document });
  }

  set(key: number, fields: Document): void {
    const now = this.documents.get(key);
    if (now === undefined) return;
    this.documents.set(key, { ...now, ...fields });
    const updateDescription = { updatedFields: fields, removedFields: [], truncatedArrays: [] };
    this.#add(key, "update", { updateDescription }, true);
  }

  /** Events after a position, at most so many, as they are read now. */
  after(at: bigint, most: number): readonly Readonly<{ at: bigint; bytes: Uint8Array }>[] {
    const some = this.#changes.filter((one) => one.at > at).slice(0, most);
    return some.map(({ at: when, key, event, looksUp }) => {
      const found = looksUp ? { ...event, fullDocument: this.documents.get(key) ?? null } : event;
      return { at: when, bytes: BSON.serialize(found) };
    });
  }
}

/** Documents of one reply of the copy, and events of one of the stream at most. */
const CHUNK = 2;
const EVENTS = 3;

const idIn = (bound: Uint8Array | undefined): number | undefined =>
  bound === undefined ? undefined : Number(BSON.deserialize(bound)["_id"]);

/** One process's eye on a source in memory. `gate`: before each of its steps. */
export class MemoryCaptureSource implements CaptureSource {
  readonly #source: MemorySource;
  readonly #clock: Clock;
  readonly #gate: () => Promise<void>;

  constructor(source: MemorySource, clock: Clock, gate: () => Promise<void>) {
    this.#source = source;
    this.#clock = clock;
    this.#gate = gate;
  }

  readonly resting: CaptureSource["resting"] = {
    at: async () => undefined,
    note: async () => this.#source.note(),
  };

  readonly ranges: RangeSource = {
    pace: undefined,
    isCollection: () => this.#gate().then(() => true),
    open: async (range) => {
      await this.#gate();
      return this.#reader(range);
    },
  };

  #reader({ bounds }: RestOfRange): ChunkReader {
    const [from, to] = [idIn(bounds.from), idIn(bounds.to)];
    let after = idIn(bounds.after);
    const next = async (): Promise<Chunk> => {
      await this.#gate();
      const rest = [...this.#source.documents.keys()]
        .filter((id) => id >= (from ?? 0) && (to === undefined || id < to) && (after === undefined || id > after))
        .sort((a, b) => a - b);
      const some = rest.slice(0, CHUNK);
      after = some.at(-1) ?? after;
      const documents = some.map((id) => BSON.serialize(this.#source.documents.get(id) as Document));
      const last = some.length === 0 ? undefined : BSON.serialize({ _id: new Int32(some.at(-1) as number) });
      const bytes = documents.reduce((sum, { length }) => sum + length, 0);
      return { documents, bytes, last, ended: rest.length <= CHUNK };
    };
    return { expectedBytes: 100, next, [Symbol.asyncDispose]: async () => undefined };
  }

  changes(position: ResumeToken): Changes {
    let after = tokenTime(position);
    let waiting = new AbortController();
    const reply = (): EventBatch | undefined => {
      const some = this.#source.after(after, EVENTS);
      if (some.length === 0) return undefined;
      const events = some.map(({ bytes }) => bytes);
      const isAll = some.length < EVENTS;
      after = isAll ? this.#source.at : (some.at(-1)?.at ?? after);
      return { ...NOTHING, events, bytes: events.reduce((sum, { length }) => sum + length, 0), token: tokenAt(after) };
    };
    return {
      next: async (waitMs) => {
        await this.#gate();
        const found = reply();
        if (found !== undefined) return found;
        await this.#clock.sleep(waitMs, waiting.signal).catch(() => undefined);
        await this.#gate();
        const later = reply();
        if (later !== undefined) return later;
        after = this.#source.at;
        return { ...NOTHING, token: tokenAt(after) };
      },
      interrupt: async () => {
        waiting.abort();
        waiting = new AbortController();
      },
      [Symbol.asyncDispose]: async () => undefined,
    };
  }

  async now(): Promise<number> {
    return this.#clock.now();
  }

  async room(): Promise<undefined> {
    return undefined;
  }
}

const NOTHING = { events: [], bytes: 0, invalidated: false, cutDown: false } as const;
