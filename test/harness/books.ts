import type { MongoClient } from "mongodb";
import type { LaneRecord } from "#apply/lanes/laneRecords.ts";
import { type Counts, imbalance, NO_COUNTS } from "#base/flow/types.ts";
import { KafkaClient } from "#io/kafka/client.ts";

export type Books = Counts;

const sum = (all: readonly Books[]): Books => {
  const total = { ...NO_COUNTS };
  for (const books of all) for (const name of Object.keys(total) as (keyof Books)[]) total[name] += books[name];
  return total;
};

/** received = applied + superseded + filtered + dead. @throws an Error that shows the books. */
export const checkBooks = (name: string, books: Books): void => {
  const negative = Object.values(books).some((count) => count < 0);
  if (imbalance(books) !== 0 || negative)
    throw new Error(`the books of ${name} do not balance: ${JSON.stringify(books)}`);
};

/** Records that the topic holds. Exact where it is neither compacted nor written in Kafka transactions, as in our tests. */
export const recordsOf = async (kafka: string, topic: string): Promise<number> => {
  await using client = new KafkaClient({ bootstrap: kafka, clientId: "test-books", group: "test-books" });
  const [earliest, latest] = [await client.offsets(topic, "earliest"), await client.offsets(topic, "latest")];
  return latest.reduce((total, end, partition) => total + end - (earliest[partition] ?? 0), 0);
};

/**
 * The books of a topic that was applied to its end: each lane's balance, and together they hold every record once.
 * @throws an Error naming what does not add up.
 */
export const booksOf = async (
  target: MongoClient,
  kafka: string,
  topic: string,
  { exactlyOnce = true, stateDb = "ferry" } = {},
): Promise<Books> => {
  const lanes = await target.db(stateDb).collection<LaneRecord>("lanes").find({ topic }).toArray();
  const books = lanes.map(({ _id, counts, filteredBy = {} }) => {
    const own = Object.fromEntries(Object.entries(counts).map(([name, n]) => [name, Number(n)])) as unknown as Books;
    checkBooks(_id, own);
    const reasons = Object.values(filteredBy).reduce((total, n) => total + Number(n), 0);
    if (reasons !== own.filtered)
      throw new Error(`${_id}: ${own.filtered} filtered, for ${JSON.stringify(filteredBy)}`);
    return own;
  });
  const total = sum(books);
  const records = await recordsOf(kafka, topic);
  const fits = exactlyOnce ? total.received === records : total.received >= records;
  if (!fits) throw new Error(`${topic} holds ${records} records, the books say ${JSON.stringify(total)}`);
  return total;
};
