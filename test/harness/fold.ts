import { identityOf } from "#base/bson/identity.ts";
import type { LogRecord } from "#base/flow/types.ts";
import { KafkaClient } from "#io/kafka/client.ts";
import { createDecoder } from "#io/wire/decode.ts";

/**
 * What a perfect apply would make of a topic: the records folded in order, the last document of each key. A model for
 * tests of capture, which then need no worker. Needs looked-up documents (`updateLookup`): deltas are refused.
 */
export type Folded = Readonly<{
  /** Raw documents by identity of their `_id`. */
  documents: ReadonlyMap<string, Buffer>;
  records: number;
  copied: number;
  /** Distinct `copyTime` values in the order of their appearance. */
  copyTimes: readonly bigint[];
  tokens: ReadonlySet<string>;
}>;

/** All records of a topic from its beginning to its end as of now, partition by partition. */
export const readTopic = async (bootstrap: string, topic: string): Promise<LogRecord[]> => {
  await using client = new KafkaClient({ bootstrap, clientId: "fold", group: "fold" });
  if (!(await client.topics()).includes(topic)) return [];
  const ends = await client.offsets(topic, "latest");
  const records: LogRecord[] = [];
  for (const [partition, end] of ends.entries()) {
    for (let offset = 0; offset < end; ) {
      const batch = await client.fetch({ topic, partition, offset, maxBytes: 8 * 2 ** 20, maxWaitMs: 200 });
      records.push(...batch.records.filter((record) => record.offset < end));
      offset = batch.end;
    }
  }
  return records;
};

/** Folds records of one topic; keys never share partitions, so reading them one after the other keeps each key's order. */
export const fold = (records: readonly LogRecord[]): Folded => {
  const decode = createDecoder();
  const documents = new Map<string, Buffer>();
  const copyTimes = new Set<bigint>();
  const tokens = new Set<string>();
  let copied = 0;
  for (const record of records) {
    const { event, poison, token } = decode(record) as ReturnType<typeof decode> & { token?: string };
    if (event === undefined) throw new Error(`record at offset ${record.offset}: ${poison}`);
    if (token !== undefined) tokens.add(token);
    if (event.origin === "copy") {
      copied += 1;
      copyTimes.add(event.at);
    }
    if (event.op === "write") documents.set(identityOf(event.key), Buffer.from(event.doc));
    else if (event.op === "delete") documents.delete(identityOf(event.key));
    else if (event.op === "patch") throw new Error(`record at offset ${record.offset} is a delta; use updateLookup`);
  }
  return { documents, records: records.length, copied, copyTimes: [...copyTimes], tokens };
};

/** How two collections of documents by identity differ, byte for byte. */
export type Difference = Readonly<{ missing: number; extra: number; different: number }>;

export const compareDocuments = (
  wanted: ReadonlyMap<string, Buffer>,
  found: ReadonlyMap<string, Buffer>,
): Difference => {
  let [missing, different] = [0, 0];
  for (const [key, doc] of wanted) {
    const other = found.get(key);
    if (other === undefined) missing += 1;
    else if (!doc.equals(other)) different += 1;
  }
  const extra = [...found.keys()].filter((key) => !wanted.has(key)).length;
  return { missing, extra, different };
};

export const EQUAL: Difference = { missing: 0, extra: 0, different: 0 };
