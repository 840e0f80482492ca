import { Binary, Long } from "bson";
import { ByteBudget } from "#base/flow/byteBudget.ts";
import type { Clock } from "#base/flow/clock.ts";
import { every, pauseFor } from "#base/flow/every.ts";
import { faultPoint } from "#base/flow/fault.ts";
import { type RetryOptions, retryForever } from "#base/flow/retry.ts";
import { TaskGroup } from "#base/flow/taskGroup.ts";
import { type Namespace, parseNamespace } from "#base/flow/types.ts";
import type { CaptureOutput } from "#io/log/captureOutput.ts";
import { CopiedRecord, RECORD_BYTES, removalRecord } from "#io/wire/captured.ts";
import { CopyRun } from "#io/wire/copyRun.ts";
import type { Chunk } from "./chunkCursor.ts";
import type { RangeRecord, RangeStore } from "./rangeRecord.ts";
import type { RangeSource } from "./rangeSource.ts";

/** A range and how far it is in the output. */
type CopyingRange = {
  readonly record: RangeRecord;
  at: Binary | null;
  documents: number;
  done: boolean;
  /** Its end is saved; and so many of its documents are downstream, as saved. */
  saved: boolean;
  settled: number;
};

/** How far a copy is, by what is saved: documents that are downstream, earlier processes included. */
export type CopyProgress = Readonly<{ documents: number; ranges: number; doneRanges: number }>;

export type CopyDeps = Readonly<{
  source: RangeSource;
  store: RangeStore;
  output: CaptureOutput;
  /** clusterTime of the start position: the copied records' own time. */
  at: bigint;
  /** How many ranges are read concurrently. */
  readers: number;
  /** Raw documentKeys of a topic's target that the source has no more; undefined where nothing is looked for. */
  leftovers: ((ns: Namespace, at: bigint) => AsyncIterable<readonly Uint8Array[]>) | undefined;
  clock: Clock;
  onRetry: NonNullable<RetryOptions["onRetry"]>;
}>;

/** How often progress is looked at, to be saved, ms. */
const SAVE_MS = 200;
/** Bytes that all readers together may hold before they are in the output: documents of 16 MB are read one by one. */
const READ_BYTES = 24 * 1024 * 1024;
/** Of a document, before any of its collection was seen. */
const AVERAGE_BYTES = 1024;
/** What a reader is taken to bring before its collection has brought anything: the most that a reply of the server may hold. */
const UNKNOWN_BYTES = 16 * 1024 * 1024;

/** What the newest chunk of a collection was like. */
type ChunkSize = Readonly<{ averageBytes: number; chunkBytes: number }>;

const bytesOf = (value: Binary | null): Uint8Array | undefined => value?.buffer;

/**
 * The copy: ranges of all namespaces, some concurrently, each with its own progress. Progress is saved when what was read is
 * settled downstream, so a kill costs what had not settled, and a finished range is never read again.
 */
export class Copy {
  readonly #deps: CopyDeps;
  readonly #ranges: CopyingRange[];
  readonly #reading = new ByteBudget(READ_BYTES);
  readonly #seen = new Map<string, ChunkSize>();
  #next = 0;

  constructor(ranges: readonly RangeRecord[], deps: CopyDeps) {
    this.#deps = deps;
    this.#ranges = ranges.map((record) => ({
      record,
      at: record.at,
      documents: Number(record.documents),
      done: record.done,
      saved: record.done,
      settled: Number(record.documents),
    }));
  }

  /** Documents copied so far, earlier processes included. */
  get documents(): number {
    return this.#ranges.reduce((sum, { documents }) => sum + documents, 0);
  }

  get progress(): CopyProgress {
    return {
      documents: this.#ranges.reduce((sum, { settled }) => sum + settled, 0),
      ranges: this.#ranges.length,
      doneRanges: this.#ranges.filter(({ saved }) => saved).length,
    };
  }

  get isDone(): boolean {
    return this.#ranges.every(({ saved }) => saved);
  }

  /** Copies what is left, until done or `soft` aborts; either way everything that was read is settled and saved. */
  async run(soft: AbortSignal, hard: AbortSignal): Promise<void> {
    {
      await using tasks = new TaskGroup(hard);
      const ending = new AbortController();
      const stop = AbortSignal.any([soft, tasks.signal]);
      const reading = Array.from({ length: this.#deps.readers }, () => this.#read(stop, tasks.signal));
      tasks.run(async () => {
        await Promise.all(reading);
        ending.abort();
      });
      tasks.run(() => this.#saveNowAndThen(AbortSignal.any([ending.signal, tasks.signal]), tasks.signal));
      await tasks.settled();
    }
    await this.#save(hard, true);
  }

  async #read(stop: AbortSignal, hard: AbortSignal): Promise<void> {
    for (;;) {
      const range = this.#ranges[this.#next++];
      if (range === undefined || stop.aborted) return;
      if (!range.done) await this.#copyRange(range, stop, hard);
    }
  }

  async #copyRange(range: CopyingRange, stop: AbortSignal, hard: AbortSignal): Promise<void> {
    const { clock, onRetry } = this.#deps;
    const what = `copying ${range.record._id}`;
    for (let ended = false; !ended && !stop.aborted; ) {
      try {
        ended = await retryForever(() => this.#readRange(range, stop, hard), {
          what,
          clock,
          signal: stop,
          onRetry,
        });
      } catch (error) {
        if (stop.aborted && !hard.aborted) return;
        throw error;
      }
    }
  }

  /** True when the range has no more. */
  async #readRange(range: CopyingRange, stop: AbortSignal, hard: AbortSignal): Promise<boolean> {
    const { source, output, clock } = this.#deps;
    const { topic, index, from, to } = range.record;
    const ns = parseNamespace(topic);
    if (!(await source.isCollection(ns))) return this.#pass(range);
    const run = new CopyRun(ns, this.#deps.at);
    const bounds = { from: bytesOf(from), to: bytesOf(to), after: bytesOf(range.at), at: this.#deps.at };
    if (index === 0 && range.at === null) await this.#removeLeftovers(run, hard);
    const seen = this.#seen.get(topic);
    let askedAt = clock.now();
    const { order } = range.record;
    await using reader = await source.open({ ns, order, bounds }, seen?.averageBytes ?? AVERAGE_BYTES);
    for (;;) {
      const expected = reader.expectedBytes ?? seen?.chunkBytes ?? UNKNOWN_BYTES;
      await this.#reading.take(expected, hard);
      let chunk: Chunk;
      let workedMs: number;
      try {
        chunk = await reader.next();
        const now = clock.now();
        workedMs = Math.max(1, now - askedAt);
        const records = chunk.documents.map((document) => new CopiedRecord(run, document, now));
        await output.append(topic, records, chunk.bytes + records.length * RECORD_BYTES, hard);
      } finally {
        this.#reading.give(expected);
      }
      const { documents, last, ended } = chunk;
      if (documents.length > 0)
        this.#seen.set(topic, { averageBytes: chunk.bytes / documents.length, chunkBytes: chunk.bytes });
      if (last !== undefined) range.at = new Binary(last);
      range.documents += documents.length;
      range.done = ended;
      faultPoint(ended ? "after-range" : "mid-range");
      await this.#rest({ workedMs, documents: documents.length }, stop);
      if (ended || stop.aborted) return ended;
      askedAt = clock.now();
    }
  }

  /** Its collection has gone since, and its drop is in the stream: what has its name now is nothing that this range is of. */
  #pass(range: CopyingRange): true {
    range.done = true;
    return true;
  }

  /** Leaves the source to its services for a while, where it is slow or the copy is to be. */
  async #rest(
    { workedMs, documents }: Readonly<{ workedMs: number; documents: number }>,
    stop: AbortSignal,
  ): Promise<void> {
    const { source, clock } = this.#deps;
    const { pace } = source;
    const ms = pace?.restAfter(workedMs, documents) ?? 0;
    if (pace !== undefined && ms > 0) await pauseFor(clock, ms, AbortSignal.any([stop, pace.changed]));
  }

  /** Before a re-copy: what is on the target and not on the source any more, as deletes ahead of the copied documents. */
  async #removeLeftovers(run: CopyRun, signal: AbortSignal): Promise<void> {
    const { leftovers, output, clock } = this.#deps;
    if (leftovers === undefined) return;
    for await (const keys of leftovers(run.ns, this.#deps.at)) {
      const records = keys.map((key) => removalRecord(run, key, clock.now()));
      const bytes = records.reduce((sum, { size }) => sum + size, 0);
      await output.append(`${run.ns.db}.${run.ns.coll}`, records, bytes, signal);
    }
  }

  async #saveNowAndThen(ended: AbortSignal, hard: AbortSignal): Promise<void> {
    await every(SAVE_MS, { clock: this.#deps.clock, ended, first: "later" }, () => this.#save(hard));
  }

  async #save(hard: AbortSignal, soon = false): Promise<void> {
    const { output, store, clock, onRetry } = this.#deps;
    const moved = this.#ranges
      .filter(({ saved, record, at, done }) => !saved && (at !== record.at || done))
      .map((range) => ({ range, at: range.at, documents: range.documents, done: range.done }));
    if (moved.length === 0) return;
    await output.settledTo(output.ends(), hard, soon);
    const progress = moved.map(({ range, at, documents, done }) => ({
      _id: range.record._id,
      at,
      documents: Long.fromNumber(documents),
      done,
    }));
    await retryForever(() => store.advance(progress), {
      what: "saving the copy's progress",
      clock,
      signal: hard,
      onRetry,
    });
    for (const { range, documents, done } of moved) {
      range.saved = done;
      range.settled = documents;
    }
  }
}
