import { unlessAborted } from "#flow/abort.ts";
import { BudgetShare, ByteBudget } from "#flow/byteBudget.ts";
import type { Clock } from "#flow/clock.ts";
import { faultPoint } from "#flow/fault.ts";
import { waitFor } from "#flow/retry.ts";
import type { LogRecord } from "#flow/types.ts";
import type { KafkaClient } from "#kafka/client.ts";
import { partitionOf } from "#kafka/partitioner.ts";
import type { KafkaProducer, Outgoing } from "#kafka/producer.ts";

export type KafkaOutputOptions = Readonly<{
  client: KafkaClient;
  /** Each serves the partitions of its number, one request at a time. */
  producers: readonly KafkaProducer[];
  /** Partitions of topics that do not exist yet. */
  partitions: number;
  /** Bytes that may wait for the broker. */
  limitBytes: number;
  clock: Clock;
}>;

/** As the recommended connector creates topics: room for a document of 16 MB, and nothing is forgotten before it is applied. */
const TOPIC = { "max.message.bytes": "33554432", "retention.ms": "-1" } as const;
const BROKER_DEFAULT = -1;
/** A batch is sealed at this size; a larger record goes alone. */
const BATCH_BYTES = 768 * 1024;
const READY_MS = 20_000;

type Placed = Readonly<{ partition: number; record: Outgoing; size: number }>;

type Queue = {
  readonly topic: string;
  readonly partition: number;
  readonly waiting: Placed[];
  pushed: number;
  sent: number;
  readonly marks: { upTo: number; resolve: () => void }[];
};

const sizeOf = ({ key, value }: Outgoing): number => (key?.length ?? 0) + (value?.length ?? 0);

/** One producer, and the queues of its partitions, served in turn. */
class Sender {
  readonly #producer: KafkaProducer;
  readonly #budget: BudgetShare;
  readonly #onFailure: (error: unknown) => void;
  readonly #queues = new Map<string, Queue>();
  #running: Promise<void> | undefined;

  constructor(producer: KafkaProducer, budget: BudgetShare, onFailure: (error: unknown) => void) {
    this.#producer = producer;
    this.#budget = budget;
    this.#onFailure = onFailure;
  }

  push(topic: string, placed: Placed): void {
    const name = `${topic}/${placed.partition}`;
    let queue = this.#queues.get(name);
    if (queue === undefined) {
      queue = { topic, partition: placed.partition, waiting: [], pushed: 0, sent: 0, marks: [] };
      this.#queues.set(name, queue);
    }
    queue.waiting.push(placed);
    queue.pushed++;
  }

  /** Sends what is queued, in the background. */
  kick(): void {
    this.#running ??= this.#drain()
      .catch(this.#onFailure)
      .finally(() => {
        this.#running = undefined;
      });
  }

  async #drain(): Promise<void> {
    for (let sent = true; sent; ) {
      sent = false;
      for (const queue of this.#queues.values())
        if (queue.waiting.length > 0) {
          await this.#send(queue);
          sent = true;
        }
    }
  }

  async #send(queue: Queue): Promise<void> {
    let [count, bytes] = [0, 0];
    for (const { size } of queue.waiting) {
      if (count > 0 && bytes + size > BATCH_BYTES) break;
      bytes += size;
      count++;
    }
    const batch = queue.waiting.splice(0, count);
    faultPoint("before-produce");
    await this.#producer.send(
      queue.topic,
      queue.partition,
      batch.map(({ record }) => record),
    );
    faultPoint("after-produce");
    this.#budget.give(bytes);
    queue.sent += count;
    while (queue.marks[0] !== undefined && queue.marks[0].upTo <= queue.sent) queue.marks.shift()?.resolve();
  }

  /** Resolves when everything that is queued by now is in Kafka. */
  async flushed(): Promise<void> {
    const behind = [...this.#queues.values()].filter(({ pushed, sent }) => sent < pushed);
    await Promise.all(
      behind.map(({ pushed: upTo, marks }) => new Promise<void>((resolve) => marks.push({ upTo, resolve }))),
    );
  }
}

/** Where `ferry capture` writes: Kafka topics, named and keyed as the recommended connector does it. */
export class KafkaOutput implements AsyncDisposable {
  readonly #options: KafkaOutputOptions;
  readonly #share: BudgetShare;
  readonly #senders: readonly Sender[];
  readonly #partitions = new Map<string, number>();
  readonly #ends = new Map<string, number>();
  readonly #failed = new AbortController();

  constructor(options: KafkaOutputOptions) {
    this.#options = options;
    this.#share = new BudgetShare(new ByteBudget(options.limitBytes));
    const fail = (error: unknown): void => this.#failed.abort(error);
    this.#senders = options.producers.map((producer) => new Sender(producer, this.#share, fail));
  }

  /** Makes the topic where it is missing. @throws FERRY_KAFKA_*, FERRY_TIMEOUT */
  async open(topic: string): Promise<void> {
    if (this.#partitions.has(topic)) return;
    const { client, partitions, clock } = this.#options;
    if (!(await client.topics()).includes(topic)) await client.createTopic(topic, partitions, TOPIC, BROKER_DEFAULT);
    const found = await waitFor(
      async () => {
        const count = await client.partitions(topic).catch(() => 0);
        return count > 0 ? { done: count } : { seen: "no metadata yet" };
      },
      { what: `topic ${topic}`, clock, timeoutMs: READY_MS },
    );
    this.#partitions.set(topic, found);
    this.#ends.set(topic, 0);
  }

  /** Resolves when there is room for more. A change of the collection itself goes to every partition, so that workers can align. */
  async append(topic: string, records: readonly LogRecord[], _bytes: number, signal: AbortSignal): Promise<void> {
    const stop = AbortSignal.any([signal, this.#failed.signal]);
    stop.throwIfAborted();
    const placed = this.#place(records, this.#partitions.get(topic) ?? 1);
    await this.#share.take(
      placed.reduce((sum, { size }) => sum + size, 0),
      stop,
    );
    for (const one of placed) this.#senders[one.partition % this.#senders.length]?.push(topic, one);
    this.#ends.set(topic, (this.#ends.get(topic) ?? 0) + records.length);
    for (const sender of this.#senders) sender.kick();
  }

  #place(records: readonly LogRecord[], partitions: number): Placed[] {
    const placed: Placed[] = [];
    for (const { key, value, event } of records) {
      const record = { key, value };
      const size = sizeOf(record);
      if (event?.op === "ddl")
        for (let partition = 0; partition < partitions; partition++) placed.push({ partition, record, size });
      else placed.push({ partition: key === null ? 0 : partitionOf(key, partitions), record, size });
    }
    return placed;
  }

  ends(): ReadonlyMap<string, number> {
    return new Map(this.#ends);
  }

  /** Resolves when everything that was appended by now is in Kafka: later than asked for, never earlier. */
  async settledTo(_ends: ReadonlyMap<string, number>, signal: AbortSignal): Promise<void> {
    const stop = AbortSignal.any([signal, this.#failed.signal]);
    await unlessAborted(Promise.all(this.#senders.map((sender) => sender.flushed())), stop);
    stop.throwIfAborted();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#share[Symbol.dispose]();
    await Promise.all(this.#options.producers.map((producer) => producer[Symbol.asyncDispose]()));
  }
}
