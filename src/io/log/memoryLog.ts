import { FerryError } from "#base/errors/ferryError.ts";
import { unlessAborted } from "#base/flow/abort.ts";
import { ByteBudget } from "#base/flow/byteBudget.ts";
import { type Log, type LogBatch, type LogPartition, type LogRecord, recordBytes } from "#base/flow/types.ts";

/** A record whose place in the log is given to it when it is appended. */
export type Appendable = LogRecord & { offset: number };

/** Where a topic begins in this process. */
export type TopicStart = Readonly<{
  /** First offset that may be asked for: what lies before is on the target. */
  first: number;
  /** Offset of the next record that is appended. */
  next: number;
  /** The highest offset that was ever given out, in this process or an earlier one. */
  high: number;
}>;

export type MemoryLogOptions = Readonly<{
  /** Says which incarnation of the topics this is; kept with the capture's position. */
  id: string;
  /** Bytes that are held until every reader has them on the target: the capture waits for room. */
  limitBytes: number;
  /** The readers of a topic: records are held for each of them, also before it has come. */
  readersOf: (topic: string) => readonly string[];
}>;

type LogChunk = Readonly<{
  records: readonly LogRecord[];
  bytes: number;
  first: number;
  end: number;
  turn: number | undefined;
}>;

/**
 * A chunk of the copy: a range brings each key once, and the stream begins when all of it is durable. Written by one lane its
 * neighbours lie on the same pages of the target's index; by all of them they fight for each page.
 */
const isCopied = ([first]: readonly LogRecord[]): boolean =>
  first?.event?.op === "write" && first.event.origin === "copy";

/** Records that `peek` shows at most. */
const PEEKED = 100;

class Topic {
  readonly chunks: LogChunk[] = [];
  readonly settled = new Map<string, number>();
  readonly waiting = new Set<() => void>();
  /** Called with the offset that a caller waits for. */
  readonly readers = new Set<(offset: number) => void>();
  awaited = 0;
  first: number;
  next: number;
  high: number;
  #turns = 0;

  constructor({ first, next, high }: TopicStart, readers: readonly string[]) {
    this.first = first;
    this.next = next;
    this.high = high;
    for (const reader of readers) this.settled.set(reader, first);
    // Assigned by an ended process, and captured again after it: lanes that had not come so far skip it.
    if (next > first) this.chunks.push({ records: [], bytes: 0, first, end: next, turn: undefined });
  }

  push(records: readonly LogRecord[], bytes: number, first: number): void {
    const turn = isCopied(records) ? this.#turns++ : undefined;
    this.chunks.push({ records, bytes, first, end: this.next, turn });
  }

  /** What lies from `offset` on in the first chunk that reaches beyond it. */
  from(offset: number): LogChunk | undefined {
    const chunk = this.chunks.find(({ end }) => end > offset);
    if (chunk === undefined || chunk.first >= offset) return chunk;
    const records = chunk.records.slice(offset - chunk.first);
    return {
      records,
      bytes: records.reduce((sum, record) => sum + recordBytes(record), 0),
      first: offset,
      end: chunk.end,
      turn: chunk.turn,
    };
  }

  /** Every reader has everything before this on the target. */
  lowest(): number {
    return Math.min(...this.settled.values());
  }

  await(offset: number): void {
    if (offset <= this.awaited) return;
    this.awaited = offset;
    for (const tell of this.readers) tell(offset);
  }

  wake(): void {
    for (const resolve of this.waiting) resolve();
    this.waiting.clear();
  }
}

/**
 * The log of `ferry run`: topics of one partition each, in this process. Records are held until the lanes of every reader
 * have them on the target, so that a released partition is read again from the position of its lanes. What a kill
 * takes away is captured again from the saved position, in the same order and under the same offsets.
 */
export class MemoryLog implements Log {
  readonly #options: MemoryLogOptions;
  readonly #budget: ByteBudget;
  readonly #topics = new Map<string, Topic>();
  #progress = new Set<() => void>();

  constructor(options: MemoryLogOptions) {
    this.#options = options;
    this.#budget = new ByteBudget(options.limitBytes);
  }

  /** Opens a topic; a no-op where it is open. */
  open(name: string, start: TopicStart): void {
    if (!this.#topics.has(name)) this.#topics.set(name, new Topic(start, this.#options.readersOf(name)));
  }

  #topic(name: string): Topic {
    const topic = this.#topics.get(name);
    if (topic === undefined) throw new FerryError("FERRY_BUG", `the log has no topic ${name}`);
    return topic;
  }

  /** Appends in the order of the calls, and resolves when there is room for more. @throws the signal's reason */
  async append(name: string, records: readonly Appendable[], bytes: number, signal: AbortSignal): Promise<void> {
    if (records.length === 0) return;
    await this.#budget.take(bytes, signal);
    const topic = this.#topic(name);
    const first = topic.next;
    for (const record of records) record.offset = topic.next++;
    if (topic.next > topic.high) topic.high = topic.next;
    // Captured once more after a kill, and on the target already: only the count of offsets needed it.
    if (topic.next <= topic.lowest()) this.#budget.give(bytes);
    else topic.push(records, bytes, first);
    topic.wake();
  }

  /** Where every topic ends now. */
  ends(): ReadonlyMap<string, number> {
    return new Map([...this.#topics].map(([name, { next }]) => [name, next]));
  }

  /**
   * Resolves when every reader has everything before these offsets on the target.
   * @param soon do readers learn that a caller waits for it? @throws the signal's reason
   */
  async settledTo(ends: ReadonlyMap<string, number>, signal: AbortSignal, soon = false): Promise<void> {
    if (soon) for (const [name, end] of ends) this.#topic(name).await(end);
    const behind = (): boolean =>
      [...ends].some(([name, end]) => [...this.#topic(name).settled.values()].some((at) => at < end));
    while (behind()) {
      // Looked at again with every batch that any lane has on the target.
      await unlessAborted(new Promise<void>((resolve) => this.#progress.add(resolve)), signal);
      signal.throwIfAborted();
    }
  }

  /** Takes over where a reader stands: everything before `offset` is on the target. */
  settle(name: string, reader: string, offset: number): void {
    const topic = this.#topic(name);
    if (offset <= (topic.settled.get(reader) ?? -1)) return;
    topic.settled.set(reader, offset);
    const lowest = topic.lowest();
    let gone = 0;
    for (const { end, bytes } of topic.chunks) {
      if (end > lowest) break;
      this.#budget.give(bytes);
      gone++;
    }
    if (gone > 0) topic.chunks.splice(0, gone);
    topic.first = Math.max(topic.first, Math.min(lowest, topic.next));
    const waiting = this.#progress;
    this.#progress = new Set();
    for (const resolve of waiting) resolve();
  }

  async topics(): Promise<string[]> {
    return [...this.#topics.keys()].sort();
  }

  async partitions(): Promise<number> {
    return 1;
  }

  async topicId(): Promise<string> {
    return this.#options.id;
  }

  async bounds(name: string): Promise<{ earliest: number[]; latest: number[] }> {
    const { first, high } = this.#topic(name);
    return { earliest: [first], latest: [high] };
  }

  /** A drop lies in the one partition that there is, in its place: nothing has to be read again because of it. */
  async offsetAt(): Promise<number> {
    return Number.MAX_SAFE_INTEGER;
  }

  async peek(name: string, _index: number, offset: number): Promise<readonly LogRecord[]> {
    const chunk = this.#topic(name).chunks.find(({ end, records }) => end > offset && records.length > 0);
    if (chunk === undefined) return [];
    const start = Math.max(0, offset - chunk.first);
    return chunk.records.slice(start, start + PEEKED);
  }

  partition(name: string, _index: number, reader: string): LogPartition {
    const topic = this.#topic(name);
    let told: ((offset: number) => void) | undefined;
    return {
      awaited: (tell) => {
        told = tell;
        topic.readers.add(tell);
        tell(topic.awaited);
      },
      read: (offset, soft) => {
        this.settle(name, reader, offset); // readers begin where the last of their lanes stands
        return readFrom(topic, offset, soft);
      },
      settled: (offset) => this.settle(name, reader, offset),
      [Symbol.asyncDispose]: async () => {
        if (told !== undefined) topic.readers.delete(told);
      },
    };
  }

  /** No other process can look at this log. */
  async showOffsets(): Promise<void> {}

  async [Symbol.asyncDispose](): Promise<void> {
    for (const topic of this.#topics.values()) topic.wake();
  }
}

async function* readFrom(topic: Topic, from: number, soft: AbortSignal): AsyncGenerator<LogBatch> {
  let offset = from;
  while (!soft.aborted) {
    const chunk = topic.from(offset);
    if (chunk === undefined) {
      await unlessAborted(new Promise<void>((resolve) => topic.waiting.add(resolve)), soft);
      continue;
    }
    offset = chunk.end;
    const { records, bytes, end, turn } = chunk;
    yield { records, bytes, end, highWatermark: topic.next, turn };
  }
}
