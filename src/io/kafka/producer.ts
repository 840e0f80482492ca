import type { Connection, Producer, Writer } from "@platformatic/kafka";
import { FerryError } from "#base/errors/ferryError.ts";
import type { Clock } from "#base/flow/clock.ts";
import { type RetryOptions, retryForever } from "#base/flow/retry.ts";
import { clientOptions, type KafkaAddress } from "./address.ts";
import { kafkaError } from "./kafkaErrors.ts";
import { library } from "./library.ts";
import { type RecordBatch, stamp } from "./recordBatch.ts";

export type ProducerOptions = KafkaAddress &
  Readonly<{
    clientId: string;
    /** Under whose id it writes; asked again where the broker no longer takes it. @param allot asks the broker for a new id */
    identify: (allot: () => Promise<bigint>) => Promise<ProducerIdentity>;
    clock: Clock;
    onRetry: NonNullable<RetryOptions["onRetry"]>;
  }>;

/** Of producers with one id, a partition takes what the one with the highest epoch sends. */
export type ProducerIdentity = Readonly<{ producerId: bigint; producerEpoch: number }>;

/** Produce request, version 9: known to every broker since 2.8 (Kafka protocol, "Produce API"). */
const PRODUCE = 0;
const VERSION = 9;
const ALL_REPLICAS = -1;
/** How long the broker waits for its replicas, ms. */
const REPLICAS_MS = 30_000;
/** Sequence numbers go from 0 to the largest int32, and begin again. */
const SEQUENCES = 2 ** 31;

/** The broker forgot this producer, or has met a later one: it gets a new identity, under which the batch is the first one. */
const UNKNOWN_TO_BROKER = [
  "UNKNOWN_PRODUCER_ID",
  "OUT_OF_ORDER_SEQUENCE_NUMBER",
  "INVALID_PRODUCER_EPOCH",
  "INVALID_PRODUCER_ID_MAPPING",
];

const isApi = (error: unknown, id: string): boolean =>
  error instanceof Error && library().findErrorBy(error, "apiId", id) !== null;

const request = (topic: string, partition: number, { bytes }: RecordBatch): Writer =>
  library()
    .Writer.create()
    .appendString(null) // no transaction
    .appendInt16(ALL_REPLICAS)
    .appendInt32(REPLICAS_MS)
    .appendArray([topic], (ofTopic) => {
      ofTopic.appendString(topic).appendArray([partition], (ofPartition) => {
        ofPartition
          .appendInt32(partition)
          .appendUnsignedVarInt(bytes.length + 1)
          .append(bytes);
      });
    })
    .appendTaggedFields();

/**
 * An idempotent producer: what it sends twice because an answer was lost, the broker keeps once. One request at a time; several
 * partitions proceed in parallel with a producer each. Connections, metadata and the producer's id are the client library's;
 * batches are made where the records are (docs/adr/0017).
 */
export class KafkaProducer implements AsyncDisposable {
  readonly #options: ProducerOptions;
  readonly #client: Producer;
  readonly #closed = new AbortController();
  readonly #sequences = new Map<string, number>();
  #identity: ProducerIdentity | undefined;

  constructor(options: ProducerOptions) {
    this.#options = options;
    // The library's own `idempotent` would overrule that there are no retries.
    this.#client = new (library().Producer)({ ...clientOptions(options, options.clientId), autocreateTopics: false });
  }

  /** Resolves when all in-sync replicas have the records, in this order; what may pass is waited for. @throws FERRY_KAFKA_* */
  async send(topic: string, partition: number, batch: RecordBatch): Promise<void> {
    const what = `writing to ${topic} [${partition}]`;
    const { clock, onRetry } = this.#options;
    await retryForever(
      async () => {
        try {
          await this.#send(topic, partition, batch);
        } catch (error) {
          this.#client.clearMetadata(); // a new leader, a recreated topic: look again before the next try
          throw kafkaError(error, what);
        }
      },
      { what, clock, signal: this.#closed.signal, onRetry },
    );
  }

  async #send(topic: string, partition: number, batch: RecordBatch): Promise<void> {
    const name = `${topic}/${partition}`;
    const connection = await this.#leader(topic, partition);
    this.#identity ??= await this.#options.identify(() => this.#allot());
    const base = this.#sequences.get(name) ?? 0;
    stamp(batch, { ...this.#identity, base });
    try {
      await this.#produce(connection, topic, partition, batch);
    } catch (error) {
      if (UNKNOWN_TO_BROKER.some((id) => isApi(error, id))) {
        this.#identity = undefined;
        this.#sequences.clear();
        throw new FerryError(
          "FERRY_KAFKA_TRANSIENT",
          `writing to ${topic} [${partition}]: the broker does not know this producer`,
          {
            cause: error,
          },
        );
      }
      // It has it already, from so long ago that it cannot say where.
      if (!isApi(error, "DUPLICATE_SEQUENCE_NUMBER")) throw error;
    }
    this.#sequences.set(name, (base + batch.count) % SEQUENCES);
  }

  async #allot(): Promise<bigint> {
    return (await this.#client.initIdempotentProducer({})).producerId;
  }

  async #leader(topic: string, partition: number): Promise<Connection> {
    const known = await this.#client.metadata({ topics: [topic], autocreateTopics: false }).catch((error: unknown) => {
      if (error instanceof library().UserError) return undefined; // how the library says that there is no such topic
      throw error;
    });
    const leader = known?.topics.get(topic)?.partitions[partition]?.leader;
    if (leader === undefined) throw new FerryError("FERRY_KAFKA_TOPIC_MISSING", `there is no ${topic} [${partition}]`);
    const connection = (await this.#client.connectToBrokers([leader])).get(leader);
    if (connection === undefined)
      throw new FerryError("FERRY_KAFKA_TRANSIENT", `${topic} [${partition}] has no leader at the moment`);
    return connection;
  }

  #produce(connection: Connection, topic: string, partition: number, batch: RecordBatch): Promise<void> {
    return new Promise((resolve, reject) => {
      connection.send(
        PRODUCE,
        VERSION,
        () => request(topic, partition, batch),
        library().produceV9.parseResponse,
        true,
        true,
        (error) => (error ? reject(error) : resolve()),
      );
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed.abort(new FerryError("FERRY_KAFKA_TRANSIENT", "the producer is closed"));
    await Promise.allSettled([this.#client.close(true)]);
  }
}
