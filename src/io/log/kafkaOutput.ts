import { BsonWriter } from "#base/bson/writer.ts";
import { unlessAborted } from "#base/flow/abort.ts";
import { BudgetShare, ByteBudget } from "#base/flow/byteBudget.ts";
import type { Clock } from "#base/flow/clock.ts";
import { faultPoint } from "#base/flow/fault.ts";
import { waitFor } from "#base/flow/retry.ts";
import type { KafkaClient } from "#io/kafka/client.ts";
import type { KafkaProducer } from "#io/kafka/producer.ts";
import { type RecordBatch, RecordBatchWriter } from "#io/kafka/recordBatch.ts";
import { topicAmong } from "#io/kafka/topicName.ts";
import type { CapturedRecord } from "#io/wire/captured.ts";
import { Places } from "./places.ts";

export type KafkaOutputOptions = Readonly<{
  client: KafkaClient;
  /** Each serves the partitions of its number, one request at a time. */
  producers: readonly KafkaProducer[];
  /** Partitions of topics that do not exist yet. */
  partitions: number;
  /** Bytes that may wait for the broker. */
  limitBytes: number;
  /** Does a topic's collection compare its `_id`s by a collation, now and on either side? */
  isCollated: (topic: string) => Promise<boolean>;
  clock: Clock;
}>;

/** As the recommended connector creates topics: room for a document of 16 MB, and nothing is forgotten before it is applied. */
const TOPIC = { "max.message.bytes": "33554432", "retention.ms": "-1" } as const;
const BROKER_DEFAULT = -1;
/** A batch is sealed at this size; a larger record goes alone. */
const BATCH_BYTES = 768 * 1024;
const READY_MS = 20_000;

/** A batch on its way, and how many bytes of the budget are its. */
type Sealed = Readonly<{ batch: RecordBatch; size: number }>;

/** One partition: the batch that is being filled, and those that are full. */
class Queue {
  readonly topic: string;
  readonly partition: number;
  readonly #open = new RecordBatchWriter(BATCH_BYTES);
  #openSize = 0;
  readonly #full: Sealed[] = [];
  #pushed = 0;
  #sent = 0;
  readonly #marks: { upTo: number; resolve: () => void }[] = [];

  constructor(topic: string, partition: number) {
    this.topic = topic;
    this.partition = partition;
  }

  /** @param size what it takes of the budget */
  push(key: BsonWriter | undefined, record: CapturedRecord, size: number, now: number): void {
    const open = this.#open;
    if (open.count > 0 && open.bytes + record.valueLength > BATCH_BYTES) this.#full.push(this.#seal(now));
    open.add(key?.bytes, key?.length ?? 0, record);
    this.#openSize += size;
    this.#pushed++;
  }

  #seal(now: number): Sealed {
    const sealed = { batch: this.#open.take(now), size: this.#openSize };
    this.#openSize = 0;
    return sealed;
  }

  /** The next batch to be sent, or undefined where nothing waits. */
  next(now: number): Sealed | undefined {
    return this.#full.shift() ?? (this.#open.count > 0 ? this.#seal(now) : undefined);
  }

  hasSent(count: number): void {
    this.#sent += count;
    const marks = this.#marks;
    while (marks[0] !== undefined && marks[0].upTo <= this.#sent) marks.shift()?.resolve();
  }

  /** Resolves when everything that was pushed by now is sent. */
  async flushed(): Promise<void> {
    if (this.#sent === this.#pushed) return;
    const upTo = this.#pushed;
    await new Promise<void>((resolve) => this.#marks.push({ upTo, resolve }));
  }
}

type SenderDeps = Readonly<{
  producer: KafkaProducer;
  budget: BudgetShare;
  clock: Clock;
  onFailure: (error: unknown) => void;
}>;

/** One producer, and the queues of its partitions, served in turn. */
class Sender {
  readonly #deps: SenderDeps;
  readonly #queues = new Map<string, Queue>();
  #running: Promise<void> | undefined;

  constructor(deps: SenderDeps) {
    this.#deps = deps;
  }

  queue(topic: string, partition: number): Queue {
    const name = `${topic}/${partition}`;
    let queue = this.#queues.get(name);
    if (queue === undefined) {
      queue = new Queue(topic, partition);
      this.#queues.set(name, queue);
    }
    return queue;
  }

  /** Sends what is queued, in the background. */
  kick(): void {
    this.#running ??= this.#drain()
      .catch(this.#deps.onFailure)
      .finally(() => {
        this.#running = undefined;
      });
  }

  async #drain(): Promise<void> {
    for (let sent = true; sent; ) {
      sent = false;
      for (const queue of this.#queues.values()) {
        const next = queue.next(this.#deps.clock.now());
        if (next === undefined) continue;
        await this.#send(queue, next);
        sent = true;
      }
    }
  }

  async #send(queue: Queue, { batch, size }: Sealed): Promise<void> {
    faultPoint("before-produce");
    await this.#deps.producer.send(queue.topic, queue.partition, batch);
    faultPoint("after-produce");
    this.#deps.budget.give(size);
    queue.hasSent(batch.count);
  }

  /** Resolves when everything that is queued by now is in Kafka. */
  async flushed(): Promise<void> {
    await Promise.all([...this.#queues.values()].map((queue) => queue.flushed()));
  }
}

/**
 * Where `ferry capture` writes: Kafka topics, named and keyed as the recommended connector does it. Here they are called by
 * their namespaces; the client knows how Kafka calls them.
 */
export class KafkaOutput implements AsyncDisposable {
  readonly #options: KafkaOutputOptions;
  readonly #share: BudgetShare;
  readonly #senders: readonly Sender[];
  readonly #names = new Map<string, string>();
  readonly #partitions = new Map<string, number>();
  readonly #places = new Map<string, Places>();
  readonly #queues = new Map<string, readonly Queue[]>();
  readonly #ends = new Map<string, number>();
  readonly #key = new BsonWriter();
  readonly #failed = new AbortController();

  constructor(options: KafkaOutputOptions) {
    this.#options = options;
    this.#share = new BudgetShare(new ByteBudget(options.limitBytes));
    const { clock } = options;
    const onFailure = (error: unknown): void => this.#failed.abort(error);
    this.#senders = options.producers.map(
      (producer) => new Sender({ producer, budget: this.#share, clock, onFailure }),
    );
  }

  /** Makes the topic of a namespace where it is missing. @throws FERRY_KAFKA_*, FERRY_TIMEOUT */
  async open(topic: string): Promise<void> {
    if (this.#partitions.has(topic)) return;
    const { client, partitions, clock } = this.#options;
    const existing = new Set(await client.topics());
    const name = topicAmong(topic, existing);
    if (!existing.has(name)) await client.createTopic(name, partitions, TOPIC, BROKER_DEFAULT);
    const found = await waitFor(
      async () => {
        const count = await client.partitions(name).catch(() => 0);
        return count > 0 ? { done: count } : { seen: "no metadata yet" };
      },
      { what: `topic ${name}`, clock, timeoutMs: READY_MS },
    );
    this.#places.set(topic, new Places(found, await this.#options.isCollated(topic)));
    this.#names.set(topic, name);
    this.#partitions.set(topic, found);
    this.#ends.set(topic, 0);
  }

  /** Resolves when there is room for more. A change of the collection itself goes to every partition, so that workers can align. */
  async append(topic: string, records: readonly CapturedRecord[], bytes: number, signal: AbortSignal): Promise<void> {
    const stop = AbortSignal.any([signal, this.#failed.signal]);
    await this.#share.take(bytes, stop);
    const queues = this.#queuesOf(topic);
    const places = this.#places.get(topic);
    const now = this.#options.clock.now();
    for (const record of records) {
      this.#key.reset();
      const key = record.writeKey(this.#key) ? this.#key : undefined;
      const place = places?.of(record, key);
      if (place !== "all") queues[place ?? 0]?.push(key, record, record.size, now);
      else for (const [i, queue] of queues.entries()) queue.push(key, record, i === 0 ? record.size : 0, now);
    }
    this.#ends.set(topic, (this.#ends.get(topic) ?? 0) + records.length);
    for (const sender of this.#senders) sender.kick();
  }

  #queuesOf(topic: string): readonly Queue[] {
    let queues = this.#queues.get(topic);
    if (queues === undefined) {
      queues = Array.from({ length: this.#partitions.get(topic) ?? 1 }, (_, partition) => {
        const sender = this.#senders[partition % this.#senders.length] as Sender;
        return sender.queue(this.#names.get(topic) ?? topic, partition);
      });
      this.#queues.set(topic, queues);
    }
    return queues;
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
