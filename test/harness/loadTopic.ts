import { ProduceAcks, Producer } from "@platformatic/kafka";
import { BSON, type Document, Int32, Timestamp } from "bson";
import type { MongoClient } from "mongodb";
import type { LaneRecord } from "#apply/lanes/laneRecords.ts";
import { systemClock } from "#base/flow/clock.ts";
import { waitFor } from "#base/flow/retry.ts";
import { parseNamespace } from "#base/flow/types.ts";
import { KafkaClient } from "#io/kafka/client.ts";
import { rawInsert } from "#io/mongo/rawWrites.ts";
import { oneOf, seeded } from "#tools/workload/people.ts";
import { type Comparison, compare } from "./compare.ts";
import { createTopic } from "./workerConnector.ts";

/** One change as the connector would report it. `patch` is an update without its document. */
export type Change =
  | Readonly<{ op: "copy" | "insert" | "update" | "replace"; doc: Document }>
  | Readonly<{ op: "patch"; _id: unknown; updatedFields: Document; removedFields?: readonly string[] }>
  | Readonly<{ op: "delete"; _id: unknown }>;

export type RawRecord = Readonly<{ key: Buffer | null; value: Buffer | null; partition?: number }>;

const idOf = (change: Change): unknown => ("doc" in change ? change.doc["_id"] : change._id);

const keyOf = (_id: unknown): Buffer => Buffer.from(BSON.EJSON.stringify({ _id }, { relaxed: false }));

let clock = 1_800_000_000;

/** The next event's clusterTime, in seconds: where a source is read as of an event, it must not be of its future. */
export const eventsFrom = (seconds: number): void => {
  clock = seconds;
};

/** The event as BSON, in the shape that the connector gives it. */
export const eventOf = (change: Change, ns: Readonly<{ db: string; coll: string }>, copyAt?: number): Buffer => {
  const t = ++clock;
  const documentKey = { _id: idOf(change) };
  if (change.op === "copy") {
    const copyTime = copyAt === undefined ? {} : { copyTime: new Timestamp({ t: copyAt, i: 1 }) };
    const _id = { ...documentKey, copyingData: true };
    const event = { _id, operationType: "insert", documentKey, fullDocument: change.doc, ...copyTime, ns };
    return Buffer.from(BSON.serialize(event));
  }
  const operationType = change.op === "patch" ? "update" : change.op;
  const base = {
    _id: { _data: `82${t.toString(16)}00000001` },
    operationType,
    clusterTime: new Timestamp({ t, i: 1 }),
  };
  const update = (updatedFields: Document, removedFields: readonly string[]): Document => ({
    updateDescription: { updatedFields, removedFields, truncatedArrays: [] },
  });
  const body =
    change.op === "delete"
      ? {}
      : change.op === "patch"
        ? update(change.updatedFields, change.removedFields ?? [])
        : { fullDocument: change.doc, ...(change.op === "update" ? update({}, []) : {}) };
  return Buffer.from(BSON.serialize({ ...base, ns, documentKey, ...body }, { ignoreUndefined: false }));
};

/** A change of the collection itself; keyed by its resume token, as the connector does it. */
export const ddlRecord = (
  operationType: string,
  ns: Readonly<{ db: string; coll: string }>,
  more: Document = {},
): RawRecord => {
  const t = ++clock;
  const _id = { _data: `82${t.toString(16)}00000001` };
  const value = Buffer.from(
    BSON.serialize({ _id, operationType, clusterTime: new Timestamp({ t, i: 1 }), ns, ...more }),
  );
  return { key: Buffer.from(JSON.stringify({ _id })), value };
};

/**
 * A topic that the test writes itself: no source and no connector, so that a test is quick and knows what must come out.
 * Keeps the model: what a target must hold when everything so far is applied.
 */
export class TestTopic implements AsyncDisposable {
  readonly topic: string;
  readonly partitions: number;
  readonly kafka: string;
  readonly model = new Map<string, Document>();
  readonly #producer: Producer<Buffer, Buffer, Buffer, Buffer>;
  #sent = 0;

  private constructor(kafka: string, topic: string, partitions: number) {
    this.kafka = kafka;
    this.topic = topic;
    this.partitions = partitions;
    this.#producer = new Producer({ clientId: "test-producer", bootstrapBrokers: [kafka], autocreateTopics: false });
  }

  static async create(kafka: string, topic: string, partitions: number): Promise<TestTopic> {
    await createTopic(kafka, topic, partitions);
    return new TestTopic(kafka, topic, partitions);
  }

  /** A topic that is there already. */
  static async attach(kafka: string, topic: string, partitions: number): Promise<TestTopic> {
    return new TestTopic(kafka, topic, partitions);
  }

  /** Records sent so far. */
  get sent(): number {
    return this.#sent;
  }

  /** Records as they are; without a partition they go to the first. */
  async sendRaw(records: readonly RawRecord[]): Promise<void> {
    const byPartition = new Map<number, RawRecord[]>();
    for (const record of records) {
      const { partition = 0 } = record;
      const own = byPartition.get(partition);
      if (own === undefined) byPartition.set(partition, [record]);
      else own.push(record);
    }
    // One partition a request: a request that one partition refuses (no leader yet) is sent again whole, for all of them.
    for (const [partition, own] of byPartition) await this.#sendTo(partition, own);
    this.#sent += records.length;
  }

  async #sendTo(partition: number, records: readonly RawRecord[]): Promise<void> {
    const messages = records.map(({ key, value }) => ({
      topic: this.topic,
      partition,
      ...(key === null ? {} : { key }),
      ...(value === null ? {} : { value }),
    }));
    for (let from = 0; from < messages.length; from += 500)
      await this.#producer.send({ messages: messages.slice(from, from + 500), acks: ProduceAcks.ALL });
  }

  /** Which partition a key goes to; numbers by their value, so that tests can choose. */
  partitionOf(_id: unknown): number {
    const text = keyOf(_id).toString();
    const digits = text.match(/\d+/g)?.at(-1) ?? "0";
    return Number(BigInt(digits) % BigInt(this.partitions));
  }

  record(change: Change, copyAt?: number): RawRecord {
    const _id = idOf(change);
    const value = eventOf(change, parseNamespace(this.topic), copyAt);
    return { key: keyOf(_id), value, partition: this.partitionOf(_id) };
  }

  /** Sends changes and keeps the model. Patches set their fields. */
  async send(changes: readonly Change[], copyAt?: number): Promise<void> {
    const records = changes.map((change) => this.record(change, copyAt));
    for (const change of changes) this.#remember(change);
    await this.sendRaw(records);
  }

  /** The collection is dropped on the source: one event, in any partition. */
  async drop(partition: number): Promise<void> {
    this.model.clear();
    await this.sendRaw([{ ...ddlRecord("drop", parseNamespace(this.topic)), partition }]);
  }

  #remember(change: Change): void {
    const id = keyOf(idOf(change)).toString();
    if (change.op === "delete") this.model.delete(id);
    else if (change.op === "patch") {
      const known = this.model.get(id);
      if (known !== undefined) this.model.set(id, { ...known, ...change.updatedFields });
    } else this.model.set(id, change.doc);
  }

  /** Waits until the lanes on the target are at the topic's end. @throws FERRY_TIMEOUT */
  async applied(target: MongoClient, timeoutMs = 60_000): Promise<void> {
    await using client = new KafkaClient({ bootstrap: this.kafka, clientId: "test-applied", group: "test-applied" });
    await waitFor(
      async () => {
        const ends = await client.offsets(this.topic, "latest");
        const lanes = await target.db("ferry").collection<LaneRecord>("lanes").find({ topic: this.topic }).toArray();
        const behind = ends.filter((end, partition) => {
          const own = lanes.filter((lane) => lane.partition === partition);
          return end > 0 && (own.length === 0 || own.some((lane) => Number(lane.offset) < end));
        });
        if (behind.length === 0) return { done: undefined };
        return { seen: { ends, lanes: lanes.map((lane) => [lane._id, Number(lane.offset)]) } };
      },
      { what: `${this.topic} to be applied`, clock: systemClock, timeoutMs },
    );
  }

  /** Waits until everything is applied and compares the target with the model, byte for byte. */
  async equals(target: MongoClient, timeoutMs?: number): Promise<Comparison> {
    await this.applied(target, timeoutMs);
    const { db, coll } = parseNamespace(this.topic);
    const model = target.db("model").collection(coll);
    await model.deleteMany({});
    const documents = [...this.model.values()].map((doc) => Buffer.from(BSON.serialize(doc)));
    await rawInsert(documents, { db: target.db("model"), coll, ordered: false });
    const found = await compare(model, target.db(db).collection(coll));
    if (found.wrong > 0) throw new Error(`${this.topic}: model and target differ: ${JSON.stringify(found)}`);
    return found;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#producer.close();
  }
}

/** Seeded changes of `keys` documents: inserts, replacements, updates with their document, and deletes. */
export const randomChanges = (count: number, { seed, keys = 200 }: { seed: number; keys?: number }): Change[] => {
  const random = seeded(seed);
  return Array.from({ length: count }, (_, n): Change => {
    const _id = new Int32(Math.floor(random() ** 2 * keys));
    const op = oneOf(random, ["insert", "update", "update", "replace", "delete"] as const);
    if (op === "delete") return { op, _id };
    return { op, doc: { _id, n: new Int32(n), text: "x".repeat(Math.floor(random() * 200)), at: new Date(n) } };
  });
};
