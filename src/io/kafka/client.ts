import type { Admin, Consumer, RecordsBatch } from "@platformatic/kafka";
import { FerryError, isFerry } from "#base/errors/ferryError.ts";
import type { LogRecord } from "#base/flow/types.ts";
import { clientOptions, type KafkaAddress } from "./address.ts";
import { kafkaError } from "./kafkaErrors.ts";
import { library } from "./library.ts";
import { topicAmong } from "./topicName.ts";

export type KafkaOptions = KafkaAddress &
  Readonly<{
    clientId: string;
    /** Under which offsets are shown to Kafka tools. ferry never joins the group: see docs/adr/0003. */
    group: string;
  }>;

export type FetchRequest = Readonly<{
  topic: string;
  partition: number;
  offset: number;
  maxBytes: number;
  maxWaitMs: number;
}>;
export type FetchResult = Readonly<{
  records: readonly LogRecord[];
  /** Bytes of keys and values, decompressed. */
  bytes: number;
  /** Bytes on the wire, compressed. */
  wireBytes: number;
  end: number;
  highWatermark: number;
  logStart: number;
}>;

export type TopicShape = Readonly<{
  partitions: number;
  replicas: number;
  /** Settings of its own, beside the broker's defaults. */
  configs: Readonly<Record<string, string>>;
}>;

/** Attribute bit of a control batch (transaction markers): carries no data. Kafka protocol, "Record Batch". */
const CONTROL = 0x20;
/** Requests wait this much longer than the long poll before they count as lost, ms. */
const REQUEST_TIMEOUT_MS = 15_000;

const decode = (
  batches: readonly RecordsBatch[],
  from: number,
): { records: LogRecord[]; bytes: number; wireBytes: number; end: number } => {
  const records: LogRecord[] = [];
  let [bytes, wireBytes, end] = [0, 0, from];
  for (const batch of batches) {
    const first = Number(batch.firstOffset);
    wireBytes += batch.length + 12;
    end = Math.max(end, first + batch.lastOffsetDelta + 1);
    if ((batch.attributes & CONTROL) !== 0) continue;
    const base = Number(batch.firstTimestamp);
    for (const record of batch.records) {
      const offset = first + record.offsetDelta;
      if (offset < from) continue; // a fetch from inside a compressed batch returns the whole batch
      bytes += (record.value?.length ?? 0) + (record.key?.length ?? 0);
      records.push({ key: record.key, value: record.value, offset, timestampMs: base + Number(record.timestampDelta) });
    }
  }
  return { records, bytes, wireBytes, end };
};

/**
 * A Kafka client for reading at positions that ferry keeps itself: metadata, offsets, fetches; no group membership, no
 * auto commit. One instance has its own connections, so a long poll on one never delays another.
 * Every method throws FERRY_KAFKA_* or FERRY_LOG_TRUNCATED.
 */
export class KafkaClient implements AsyncDisposable {
  readonly #consumer: Consumer;
  readonly #options: KafkaOptions;
  #admin: Admin | undefined;
  readonly #topicOf = new Map<string, string>();

  constructor(options: KafkaOptions) {
    this.#options = options;
    this.#consumer = new (library().Consumer)({ ...this.#base(), groupId: options.group });
  }

  #base() {
    const { clientId } = this.#options;
    return { ...clientOptions(this.#options, clientId), timeout: REQUEST_TIMEOUT_MS, connectTimeout: 5000 };
  }

  #adminClient(): Admin {
    this.#admin ??= new (library().Admin)(this.#base());
    return this.#admin;
  }

  async #do<T>(phase: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw kafkaError(error, phase);
    }
  }

  /** Topic names, internal ones (`__…`) left out. */
  async topics(): Promise<string[]> {
    const names = await this.#do("listing topics", () => this.#adminClient().listTopics());
    return names.filter((name) => !name.startsWith("__")).sort();
  }

  /** How the topic of a namespace is called here, or would be: see topicAmong. @param ns `db.collection` */
  async topicOf(ns: string): Promise<string> {
    const known = this.#topicOf.get(ns);
    if (known !== undefined) return known;
    const existing = new Set(await this.topics());
    const topic = topicAmong(ns, existing);
    if (existing.has(topic)) this.#topicOf.set(ns, topic);
    return topic;
  }

  /** Topic names with the internal ones. */
  allTopics(): Promise<string[]> {
    return this.#do("listing topics", () => this.#adminClient().listTopics({ includeInternals: true }));
  }

  /** Number of partitions. @throws FERRY_KAFKA_TOPIC_MISSING */
  async partitions(topic: string): Promise<number> {
    return (await this.#topic(topic)).partitionsCount;
  }

  /** The topic's id: another one under the same name is another topic. @throws FERRY_KAFKA_TOPIC_MISSING */
  async topicId(topic: string): Promise<string> {
    return (await this.#topic(topic)).id;
  }

  async #topic(topic: string): Promise<{
    id: string;
    partitionsCount: number;
    partitions: { leader: number; leaderEpoch: number; replicas: number[] }[];
  }> {
    const metadata = await this.#do(`metadata of ${topic}`, () =>
      this.#consumer.metadata({ topics: [topic], autocreateTopics: false }),
    );
    const found = metadata.topics.get(topic);
    if (found === undefined || found.partitionsCount === 0)
      throw new FerryError("FERRY_KAFKA_TOPIC_MISSING", `topic ${topic} does not exist`);
    return found;
  }

  /** First offset still held, or the next one to be written, per partition. */
  async offsets(topic: string, which: "earliest" | "latest"): Promise<number[]> {
    const { EARLIEST, LATEST } = library().ListOffsetTimestamps;
    const timestamp = which === "earliest" ? EARLIEST : LATEST;
    await this.#topic(topic);
    const found = await this.#do(`offsets of ${topic}`, () =>
      this.#consumer.listOffsets({ topics: [topic], timestamp }),
    );
    return (found.get(topic) ?? []).map(Number);
  }

  /** First offset whose record was written at `timeMs` or later; the end where there is none yet. */
  async offsetAt(topic: string, partition: number, timeMs: number): Promise<number> {
    await this.#topic(topic);
    const request = { topics: [topic], partitions: { [topic]: [partition] }, timestamp: BigInt(Math.max(0, timeMs)) };
    const found = await this.#do(`offsets of ${topic}`, () => this.#consumer.listOffsetsWithTimestamps(request));
    const offset = Number(found.get(topic)?.get(partition)?.offset ?? -1);
    return offset >= 0 ? offset : ((await this.offsets(topic, "latest"))[partition] ?? 0);
  }

  /** One fetch of one partition; answers with no records when `maxWaitMs` passed without any. */
  async fetch({ topic, partition, offset, maxBytes, maxWaitMs }: FetchRequest): Promise<FetchResult> {
    const phase = `reading ${topic} [${partition}] at offset ${offset}`;
    const { id, partitions } = await this.#topic(topic);
    const leader = partitions[partition];
    if (leader === undefined)
      throw new FerryError("FERRY_KAFKA_TOPIC_MISSING", `${topic} has no partition ${partition}`);
    if (!this.#consumer.topics.has(topic)) this.#consumer.topics.track(topic);
    try {
      const response = await this.#consumer.fetch({
        node: leader.leader,
        minBytes: 1,
        maxBytes,
        maxWaitTime: maxWaitMs,
        isolationLevel: library().FetchIsolationLevels.READ_COMMITTED,
        topics: [
          {
            topicId: id,
            partitions: [
              {
                partition,
                currentLeaderEpoch: leader.leaderEpoch,
                fetchOffset: BigInt(offset),
                lastFetchedEpoch: -1,
                partitionMaxBytes: maxBytes,
              },
            ],
          },
        ],
      });
      const part = response.responses[0]?.partitions[0];
      if (part === undefined)
        return { records: [], bytes: 0, wireBytes: 0, end: offset, highWatermark: offset, logStart: 0 };
      return {
        ...decode(part.records ?? [], offset),
        highWatermark: Number(part.lastStableOffset),
        logStart: Number(part.logStartOffset),
      };
    } catch (error) {
      this.#consumer.clearMetadata(); // a new leader, a recreated topic: look again before the next try
      throw kafkaError(error, phase);
    }
  }

  /** Shows positions to Kafka tools under the group. A courtesy: the truth is in the lane records. */
  async showOffsets(topic: string, offsets: ReadonlyMap<number, number>): Promise<void> {
    const partitionOffsets = [...offsets].map(([partition, offset]) => ({ partition, offset: BigInt(offset) }));
    await this.#do(`showing offsets of ${topic}`, () =>
      this.#adminClient().alterConsumerGroupOffsets({
        groupId: this.#options.group,
        topics: [{ name: topic, partitionOffsets }],
      }),
    );
  }

  /** @param replicas -1: as many as the broker's own default */
  async createTopic(
    topic: string,
    partitions: number,
    configs: Readonly<Record<string, string>> = {},
    replicas = 1,
  ): Promise<void> {
    const list = Object.entries(configs).map(([name, value]) => ({ name, value }));
    await this.#do(`creating topic ${topic}`, () =>
      this.#adminClient().createTopics({ topics: [topic], partitions, replicas, configs: list }),
    );
  }

  /** What it takes to make another topic like this one. @throws FERRY_KAFKA_TOPIC_MISSING */
  async shape(topic: string): Promise<TopicShape> {
    const { partitionsCount, partitions } = await this.#topic(topic);
    const { ConfigResourceTypes, ConfigSources } = library();
    const resources = [{ resourceType: ConfigResourceTypes.TOPIC, resourceName: topic }];
    const [found] = await this.#do(`settings of ${topic}`, () => this.#adminClient().describeConfigs({ resources }));
    const own = (found?.configs ?? []).filter(
      ({ configSource }) => configSource === ConfigSources.DYNAMIC_TOPIC_CONFIG,
    );
    const configs = Object.fromEntries(
      own.flatMap(({ name, value }) => (typeof value === "string" ? [[name, value]] : [])),
    );
    return { partitions: partitionsCount, replicas: partitions[0]?.replicas.length ?? 1, configs };
  }

  /** Its records are gone for every reader. A topic that is not there is no failure. */
  async deleteTopic(topic: string): Promise<void> {
    try {
      await this.#do(`deleting topic ${topic}`, () => this.#adminClient().deleteTopics({ topics: [topic] }));
    } catch (error) {
      if (!isFerry(error, "FERRY_KAFKA_TOPIC_MISSING")) throw error;
    } finally {
      this.#consumer.clearMetadata(); // another one of the same name has another id
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.allSettled([this.#consumer.close(true), this.#admin?.close() ?? Promise.resolve()]);
  }
}
