import type { LogRecord } from "#flow/types.ts";
import type { FetchResult, KafkaClient } from "#kafka/client.ts";
import { createDecoder } from "#wire/decode.ts";

/** The outcome of a search. `conclusive` is false when there was more to read than the search may. */
export type Search = Readonly<{ missing: ReadonlySet<string>; conclusive: boolean }>;

const FETCH_BYTES = 4 * 2 ** 20;
const NO_WAIT_MS = 10;
/** A search that would read more than this gives up: it must not cost more than what it watches over. */
const MAX_RECORDS = 100_000;

const fetchAt = (
  kafka: KafkaClient,
  topic: string,
  partition: number,
  offset: number,
  maxBytes: number,
): Promise<FetchResult> => kafka.fetch({ topic, partition, offset, maxBytes, maxWaitMs: NO_WAIT_MS });

/** The first offset whose record may be as young as `sinceMs`, by bisection over the records' timestamps. */
const offsetSince = async (
  kafka: KafkaClient,
  topic: string,
  partition: number,
  sinceMs: number,
  earliest: number,
  latest: number,
): Promise<number> => {
  let [low, high] = [earliest, latest];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const { records } = await fetchAt(kafka, topic, partition, middle, 1);
    const [first] = records;
    if (first === undefined || first.timestampMs >= sinceMs) high = middle;
    else low = Math.max(middle + 1, Math.min(first.offset + 1, high));
  }
  return low;
};

/**
 * Which of these resume tokens no record of the topic carries, among the records written since `sinceMs`. Resume tokens are
 * unique to their events, so this tells whether an event was published.
 * @throws FERRY_KAFKA_*
 */
export const searchTokens = async (
  kafka: KafkaClient,
  topic: string,
  tokens: ReadonlySet<string>,
  sinceMs: number,
): Promise<Search> => {
  const missing = new Set(tokens);
  if (missing.size === 0) return { missing, conclusive: true };
  if (!(await kafka.topics()).includes(topic)) return { missing, conclusive: true };
  const [earliest, latest] = await Promise.all([kafka.offsets(topic, "earliest"), kafka.offsets(topic, "latest")]);
  let read = 0;
  for (const [partition, end] of latest.entries()) {
    const start = await offsetSince(kafka, topic, partition, sinceMs, earliest[partition] ?? 0, end);
    for await (const records of readRange(kafka, topic, partition, start, end)) {
      for (const token of tokensOf(records)) missing.delete(token);
      read += records.length;
      if (missing.size === 0) return { missing, conclusive: true };
      if (read > MAX_RECORDS) return { missing, conclusive: false };
    }
  }
  return { missing, conclusive: true };
};

async function* readRange(
  kafka: KafkaClient,
  topic: string,
  partition: number,
  start: number,
  end: number,
): AsyncGenerator<readonly LogRecord[]> {
  for (let offset = start; offset < end; ) {
    const result = await fetchAt(kafka, topic, partition, offset, FETCH_BYTES);
    yield result.records;
    if (result.end === offset) return; // the log ended under our feet (retention); the rest is not there
    offset = result.end;
  }
}

const tokensOf = (records: readonly LogRecord[]): string[] => {
  const decode = createDecoder({ nested: false });
  return records.flatMap((record) => {
    const decoded = decode(record);
    return decoded.event === undefined || decoded.token === undefined ? [] : [decoded.token];
  });
};
