import type { Clock } from "#base/flow/clock.ts";
import type { KafkaClient } from "#io/kafka/client.ts";
import { tokenTime } from "#source/stream/resumeToken.ts";
import { patiently } from "./patience.ts";
import { readRange, tokensOf } from "./topicSearch.ts";

export type TopicTailDeps = Readonly<{
  kafka: Pick<KafkaClient, "topics" | "offsets" | "offsetAt" | "fetch">;
  topic: string;
  clock: Clock;
}>;

/**
 * How long before an event the reading begins, ms: what is there is found at little cost. Then earlier, since the clocks of the
 * source and of Connect may differ; by no more than a day.
 */
const BEFORE_MS = [2000, 60_000, 3_600_000, 24 * 3_600_000] as const;
/** With more tokens than these in memory, those that are not asked for any more go. */
const MOST_TOKENS = 200_000;

/** The resume tokens of a topic's records, each record read once. Resume tokens are unique to their events. */
export class TopicTail {
  readonly #deps: TopicTailDeps;
  readonly #tokens = new Set<string>();
  /** Where the reading continues, by partition; undefined before the topic is there. */
  #next: number[] | undefined;
  #step = 0;
  #isReadable = true;

  constructor(deps: TopicTailDeps) {
    this.#deps = deps;
  }

  has(token: string): boolean {
    return this.#tokens.has(token);
  }

  /** False where a record cannot be read: it may be the one that is looked for. */
  get isReadable(): boolean {
    return this.#isReadable;
  }

  /** Reads what has come since the last call. @param sinceMs of the first event that is looked for. @throws FERRY_KAFKA_* */
  async advance(sinceMs: number, signal: AbortSignal): Promise<void> {
    const { kafka, topic, clock } = this.#deps;
    await patiently({ clock, signal }, `reading the end of ${topic}`, async () => {
      if (this.#next === undefined && !(await kafka.topics()).includes(topic)) return;
      const ends = await kafka.offsets(topic, "latest");
      this.#next ??= await this.#begin(ends.length, sinceMs);
      for (const [partition, end] of ends.entries()) await this.#read(partition, this.#next, end);
    });
  }

  /** Reads again from further back. @returns false where there is no further. @throws FERRY_KAFKA_* */
  async widen(sinceMs: number, signal: AbortSignal): Promise<boolean> {
    if (this.#step + 1 >= BEFORE_MS.length) return false;
    this.#step++;
    this.#next = undefined;
    await this.advance(sinceMs, signal);
    return true;
  }

  /** What happened before this clusterTime is not asked for any more. */
  forget(before: bigint): void {
    if (this.#tokens.size <= MOST_TOKENS) return;
    for (const _data of this.#tokens) if (tokenTime({ _data }) < before) this.#tokens.delete(_data);
  }

  #begin(partitions: number, sinceMs: number): Promise<number[]> {
    const { kafka, topic } = this.#deps;
    const from = sinceMs - (BEFORE_MS[this.#step] ?? 0);
    return Promise.all(Array.from({ length: partitions }, (_, partition) => kafka.offsetAt(topic, partition, from)));
  }

  /** A partition that was added since is read from its beginning. */
  async #read(partition: number, next: number[], end: number): Promise<void> {
    const { kafka, topic } = this.#deps;
    for await (const read of readRange(kafka, topic, partition, next[partition] ?? 0, end)) {
      const { tokens, unreadable } = tokensOf(read.records);
      for (const token of tokens) this.#tokens.add(token);
      if (unreadable) this.#isReadable = false;
      next[partition] = read.end;
    }
  }
}
