import { unlessAborted } from "#base/flow/abort.ts";
import type { Clock } from "#base/flow/clock.ts";
import { type RetryOptions, retryForever } from "#base/flow/retry.ts";
import { formatNamespace, type Log, type LogBatch, type LogPartition, type LogRecord } from "#base/flow/types.ts";
import { type FetchResult, KafkaClient, type KafkaOptions } from "#io/kafka/client.ts";
import { namespaceFor } from "#io/kafka/topicName.ts";
import { createDecoder } from "#io/wire/decode.ts";

export type KafkaLogOptions = KafkaOptions &
  Readonly<{
    clock: Clock;
    /** How many decompressed bytes one fetch should bring; asked each time, because it depends on the number of partitions. */
    fetchBytes: () => number;
    onRetry: NonNullable<RetryOptions["onRetry"]>;
  }>;

/** The broker answers an empty fetch after this long, ms: how often an idle partition is looked at again. */
const LONG_POLL_MS = 500;
const MIN_WIRE_BYTES = 64 * 1024;
const MAX_WIRE_BYTES = 8 * 1024 * 1024;
/** Behind a batch larger than this nothing is read ahead: with documents of 16 MB every partition would hold two. */
const MAX_AHEAD_BYTES = 8 * 1024 * 1024;

class KafkaPartition implements LogPartition {
  readonly #client: KafkaClient;
  readonly #options: KafkaLogOptions;
  readonly #topic: string;
  readonly #index: number;
  /** Decompressed bytes per byte on the wire, as last seen: brokers count compressed bytes, memory counts the others. */
  #ratio = 8;

  constructor(options: KafkaLogOptions, topic: string, index: number) {
    this.#options = options;
    this.#topic = topic;
    this.#index = index;
    this.#client = new KafkaClient(options);
  }

  #fetch(offset: number, signal: AbortSignal): Promise<FetchResult> {
    const maxBytes = Math.min(
      MAX_WIRE_BYTES,
      Math.max(MIN_WIRE_BYTES, Math.round(this.#options.fetchBytes() / this.#ratio)),
    );
    return retryForever(
      async () => {
        const topic = await this.#client.topicOf(this.#topic);
        return this.#client.fetch({ topic, partition: this.#index, offset, maxBytes, maxWaitMs: LONG_POLL_MS });
      },
      {
        what: `reading ${this.#topic} [${this.#index}]`,
        clock: this.#options.clock,
        signal,
        onRetry: this.#options.onRetry,
      },
    );
  }

  async *read(offset: number, soft: AbortSignal): AsyncIterable<LogBatch> {
    let next = this.#fetch(offset, soft);
    for (;;) {
      const result = await unlessAborted(next, soft);
      if (result === undefined) break;
      if (result.wireBytes > 0) this.#ratio = Math.max(1, 0.5 * this.#ratio + (0.5 * result.bytes) / result.wireBytes);
      const { records, bytes, end, highWatermark } = result;
      const ahead = bytes <= MAX_AHEAD_BYTES;
      if (ahead) {
        next = this.#fetch(end, soft); // one batch ahead: the broker works while the lanes write
        next.catch(() => undefined); // reported where it is awaited; it is not awaited after a stop
      }
      yield { records, bytes, end, highWatermark };
      if (!ahead) next = this.#fetch(end, soft);
    }
    next.catch(() => undefined);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#client[Symbol.asyncDispose]();
  }
}

/** Bytes of a topic's beginning that tell whose it is. */
const LOOK_BYTES = 1024 * 1024;

/**
 * Kafka as a log, whose topics are called by their namespaces. Each partition reader has its own connections, so one long poll
 * never delays another.
 */
export class KafkaLog implements Log {
  readonly #options: KafkaLogOptions;
  readonly #client: KafkaClient;
  #peeking: Promise<unknown> = Promise.resolve();
  readonly #named = new Map<string, string>();
  readonly #decode = createDecoder();

  constructor(options: KafkaLogOptions) {
    this.#options = options;
    this.#client = new KafkaClient(options);
  }

  async topics(): Promise<string[]> {
    const found: string[] = [];
    for (const topic of await this.#client.topics()) {
      const ns = namespaceFor(topic) ?? (await this.#recorded(topic));
      if (ns !== undefined) found.push(ns);
    }
    return found;
  }

  /** The namespace that a topic's records name; undefined while it has none. */
  async #recorded(topic: string): Promise<string | undefined> {
    const known = this.#named.get(topic);
    if (known !== undefined) return known;
    for (const [index, offset] of (await this.#client.offsets(topic, "earliest")).entries())
      for (const record of await this.#look(topic, index, offset, LOOK_BYTES)) {
        const ns = this.#decode(record).event?.ns;
        if (ns === undefined || (await this.#client.topicOf(formatNamespace(ns))) !== topic) continue;
        this.#named.set(topic, formatNamespace(ns));
        return formatNamespace(ns);
      }
    return undefined;
  }

  async partitions(topic: string): Promise<number> {
    return this.#client.partitions(await this.#client.topicOf(topic));
  }

  /** The topic's id: another one under the same name is another topic. */
  async topicId(topic: string): Promise<string> {
    return this.#client.topicId(await this.#client.topicOf(topic));
  }

  /** First offset held and next offset to be written, per partition. */
  async bounds(topic: string): Promise<{ earliest: number[]; latest: number[] }> {
    const name = await this.#client.topicOf(topic);
    const [earliest, latest] = await Promise.all([
      this.#client.offsets(name, "earliest"),
      this.#client.offsets(name, "latest"),
    ]);
    return { earliest, latest };
  }

  /** First offset whose record was written at `timeMs` or later; the end where there is none yet. */
  async offsetAt(topic: string, index: number, timeMs: number): Promise<number> {
    return this.#client.offsetAt(await this.#client.topicOf(topic), index, timeMs);
  }

  /** Some records from `offset` on, to look at; none where the log has none. */
  async peek(topic: string, index: number, offset: number): Promise<readonly LogRecord[]> {
    return this.#look(await this.#client.topicOf(topic), index, offset, MIN_WIRE_BYTES);
  }

  async #look(topic: string, index: number, offset: number, maxBytes: number): Promise<readonly LogRecord[]> {
    const what = { topic, partition: index, offset, maxBytes, maxWaitMs: 1 };
    // One after the other: two concurrent fetches on one connection break its fetch session.
    const turn = this.#peeking.then(() => this.#client.fetch(what));
    this.#peeking = turn.catch(() => undefined); // its own caller gets the error; the next one only waits for its end
    return (await turn).records;
  }

  partition(topic: string, index: number): LogPartition {
    return new KafkaPartition(this.#options, topic, index);
  }

  /** Shows positions to Kafka tools under the group; the truth is in the lane records. */
  async showOffsets(topic: string, offsets: ReadonlyMap<number, number>): Promise<void> {
    return this.#client.showOffsets(await this.#client.topicOf(topic), offsets);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#client[Symbol.asyncDispose]();
  }
}
