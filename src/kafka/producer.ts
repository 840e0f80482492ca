import { Producer } from "@platformatic/kafka";
import { kafkaError } from "./errors.ts";

export type ProducerSettings = Readonly<{ bootstrap: string; clientId: string }>;

export type Outgoing = Readonly<{ key: Uint8Array | null; value: Uint8Array | null }>;

const asBuffer = (bytes: Uint8Array): Buffer =>
  Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** The client tries again by itself, since only it can do so under the same sequence numbers; this bounds it, ms. */
const RETRIES = 600;
const RETRY_DELAY_MS = 100;

/**
 * An idempotent producer: what it sends twice because an answer was lost, the broker keeps once. One request at a time; several
 * partitions go on side by side with a producer each.
 */
export class KafkaProducer implements AsyncDisposable {
  readonly #producer: Producer<Buffer, Buffer, Buffer, Buffer>;

  constructor({ bootstrap, clientId }: ProducerSettings) {
    this.#producer = new Producer({
      clientId,
      bootstrapBrokers: bootstrap.split(",").map((broker) => broker.trim()),
      idempotent: true,
      autocreateTopics: false,
      compression: "lz4",
      retries: RETRIES,
      retryDelay: RETRY_DELAY_MS,
    });
  }

  /** Resolves when all in-sync replicas have the records, in this order. @throws FERRY_KAFKA_* */
  async send(topic: string, partition: number, records: readonly Outgoing[]): Promise<void> {
    const messages = records.map(({ key, value }) => ({
      topic,
      partition,
      ...(key === null ? {} : { key: asBuffer(key) }),
      value: value === null ? (null as unknown as Buffer) : asBuffer(value),
    }));
    try {
      await this.#producer.send({ messages });
    } catch (error) {
      throw kafkaError(error, `writing to ${topic} [${partition}]`);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.allSettled([this.#producer.close(true)]);
  }
}
