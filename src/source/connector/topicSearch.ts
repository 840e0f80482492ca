import { FerryError } from "#base/errors/ferryError.ts";
import type { LogRecord } from "#base/flow/types.ts";
import type { KafkaClient } from "#io/kafka/client.ts";
import { createDecoder } from "#io/wire/decode.ts";

/** The outcome of a search. `conclusive` is false when there was more to read than the search may, or records that it cannot read. */
export type Search = Readonly<{ missing: ReadonlySet<string>; conclusive: boolean }>;

const FETCH_BYTES = 4 * 2 ** 20;
const WAIT_MS = 1000;
/** A search that would read more than this gives up: it must not cost more than what it watches over. */
const MAX_RECORDS = 100_000;

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
  let read = 0;
  for (const [partition, end] of (await kafka.offsets(topic, "latest")).entries()) {
    const start = await kafka.offsetAt(topic, partition, sinceMs);
    for await (const { records } of readRange(kafka, topic, partition, start, end)) {
      const { tokens: found, unreadable } = tokensOf(records);
      for (const token of found) missing.delete(token);
      read += records.length;
      if (missing.size === 0) return { missing, conclusive: true };
      if (unreadable || read > MAX_RECORDS) return { missing, conclusive: false };
    }
  }
  return { missing, conclusive: true };
};

/** Reads records of a partition between two offsets. `end`: where the reading continues. @throws FERRY_KAFKA_* */
export async function* readRange(
  kafka: Pick<KafkaClient, "fetch">,
  topic: string,
  partition: number,
  start: number,
  end: number,
): AsyncGenerator<Readonly<{ records: readonly LogRecord[]; end: number }>> {
  for (let offset = start; offset < end; ) {
    const result = await kafka.fetch({ topic, partition, offset, maxBytes: FETCH_BYTES, maxWaitMs: WAIT_MS });
    // Records before the end are available immediately: an empty answer is about the broker, not about the topic.
    if (result.end === offset)
      throw new FerryError(
        "FERRY_KAFKA_TRANSIENT",
        `${topic} [${partition}] gave nothing at offset ${offset} of ${end}`,
      );
    yield result;
    offset = result.end;
  }
}

/** Resume tokens that these records carry. `unreadable`: a record that cannot be read may be the one that is looked for. */
export const tokensOf = (records: readonly LogRecord[]): { tokens: string[]; unreadable: boolean } => {
  const decode = createDecoder({ nested: false });
  const decoded = records.map(decode);
  return {
    tokens: decoded.flatMap((found) => (found.event === undefined || found.token === undefined ? [] : [found.token])),
    unreadable: decoded.some(({ event }) => event === undefined),
  };
};
