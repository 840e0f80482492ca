import type { LaneRecord, PartitionRecord } from "#apply/lanes/laneRecords.ts";
import { recordsBehind } from "#apply/lanes/recordsBehind.ts";
import type { Route } from "#base/config/routes.ts";
import type { Clock } from "#base/flow/clock.ts";
import type { KafkaClient } from "#io/kafka/client.ts";
import { translated } from "#io/mongo/errors.ts";
import type { StateDb } from "#io/state/stateDb.ts";

export type KafkaAppliedDeps = Readonly<{
  kafka: KafkaClient;
  state: StateDb;
  routes: readonly Route[] | undefined;
  /** A clusterTime of the source, asked now. */
  position: () => Promise<bigint>;
  /** Everything that the source committed up to a position is in the topic so long after it was asked, ms. */
  settleMs: number;
  clock: Clock;
}>;

type NotedPosition = { readonly at: bigint; readonly askedAt: number; ends: readonly number[] | undefined };

/** A look at the lanes is as good as the next one for so long, ms. */
const FRESH_MS = 100;
/** Positions that are followed through the topic concurrently. */
const MOST_MARKS = 10;

/**
 * Up to which clusterTime of the source a topic is on the target. Offsets alone tell it, since partitions have no common order: a
 * position of the capture is noted, then the ends of the topic, and when the lanes of all its routes have passed these, everything
 * up to that position is on the target.
 */
export class AppliedThroughKafka {
  readonly #deps: KafkaAppliedDeps;
  readonly #topic: string;
  /** Oldest first. */
  #marks: NotedPosition[] = [];
  #applied = 0n;
  #lookedAt = Number.NEGATIVE_INFINITY;

  constructor(topic: string, deps: KafkaAppliedDeps) {
    this.#topic = topic;
    this.#deps = deps;
  }

  /** 0n as long as nothing is known. @throws FERRY_KAFKA_*, FERRY_MONGO_* */
  async upTo(): Promise<bigint> {
    const { clock } = this.#deps;
    if (clock.now() - this.#lookedAt < FRESH_MS) return this.#applied;
    this.#lookedAt = clock.now();
    await this.#mark();
    await this.#setEnds();
    const passed = this.#marks.filter(({ ends }) => ends !== undefined);
    if (passed.length === 0) return this.#applied;
    const behind = await this.#behindOf();
    for (const { at, ends } of passed) {
      if (ends === undefined || behind(ends) !== 0) break;
      this.#marks.shift();
      this.#applied = at;
    }
    return this.#applied;
  }

  /** Notes the position, unless enough of them are on their way. */
  async #mark(): Promise<void> {
    const { position, settleMs, clock } = this.#deps;
    const last = this.#marks.at(-1);
    if (this.#marks.length >= MOST_MARKS) return;
    if (last !== undefined && clock.now() - last.askedAt < settleMs / (MOST_MARKS - 1)) return;
    this.#marks.push({ at: await position(), askedAt: clock.now(), ends: undefined });
  }

  /** The topic's ends for those positions whose changes are in it by now. */
  async #setEnds(): Promise<void> {
    const { kafka, settleMs, clock } = this.#deps;
    const due = this.#marks.filter(({ ends, askedAt }) => ends === undefined && clock.now() - askedAt >= settleMs);
    if (due.length === 0) return;
    const ends = await kafka.offsets(await kafka.topicOf(this.#topic), "latest");
    for (const mark of due) mark.ends = ends;
  }

  /** Reads the lanes: how many records before some ends they have not applied. */
  async #behindOf(): Promise<(ends: readonly number[]) => number | undefined> {
    const { state, routes } = this.#deps;
    const ofTopic = { topic: this.#topic };
    const [lanes, partitions] = await translated(`reading the lanes of ${this.#topic}`, () =>
      Promise.all([
        state.collection<LaneRecord>("lanes").find(ofTopic).toArray(),
        state.collection<PartitionRecord>("partitions").find(ofTopic).toArray(),
      ]),
    );
    return (ends) => recordsBehind(new Map([[this.#topic, ends]]), routes, { lanes, partitions });
  }
}
