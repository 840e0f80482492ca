import { FerryError } from "#base/errors/ferryError.ts";
import type { Clock } from "#base/flow/clock.ts";
import type { KafkaClient } from "#io/kafka/client.ts";
import { type ResumeToken, secondsOf, tokenTime } from "#source/stream/resumeToken.ts";
import type { SeenChanges, SeenEvent } from "#source/stream/sourceProbe.ts";
import type { CaptureConfig } from "./connectorConfig.ts";
import { lossFindings } from "./lossFindings.ts";
import { isChange, isRepeatable, isReshaped, topicOfEvent } from "./ownStream.ts";
import { TopicTail } from "./topicTail.ts";

export type ArrivalsDeps = Readonly<{
  connector: string;
  kafka: Pick<KafkaClient, "topics" | "offsets" | "offsetAt" | "fetch">;
  /** What the source did after a position, at least up to a clusterTime where it has come so far. @throws FERRY_MONGO_* */
  changes: (capture: CaptureConfig, after: ResumeToken, until: bigint) => Promise<SeenChanges>;
  clock: Clock;
}>;

/** Connect stores positions more often than this, seconds. */
const LONG_AGO = 60;

type Look = Readonly<{ capture: CaptureConfig; stored: ResumeToken; signal: AbortSignal }>;

/**
 * Up to where the topics have everything that the source did. Connect stores positions every few seconds, so the topics themselves
 * are asked: a change stream of ferry's own tells which changes there are, and each one's record must be there. Each look
 * continues where the last one ended, on both sides, so that it costs what has happened since, on a busy source too.
 */
export class Arrivals {
  readonly #deps: ArrivalsDeps;
  readonly #tails = new Map<string, TopicTail>();
  /** Everything up to here is known to be in the topics. */
  #proven: ResumeToken | undefined;
  /** The next event was not there at the last look: what Connect has stored since does not excuse it. */
  #isSuspicious = false;

  constructor(deps: ArrivalsDeps) {
    this.#deps = deps;
  }

  /**
   * Is everything up to a time of the source in the topics? Looks as long as there is more to look at. Where a pipeline or a mapper
   * hides the changes, the stored position alone tells.
   * @param stored what Connect has stored, read before: its records are in the topics
   * @throws FERRY_CAPTURE_GAP, FERRY_CAPTURE_REOPENED where the connector has gone past a change, FERRY_MONGO_*, FERRY_KAFKA_*, the
   * signal's reason
   */
  async haveAll(at: bigint, look: Look): Promise<boolean> {
    if (!isRepeatable(look.capture) || isReshaped(look.capture)) return tokenTime(look.stored) > at;
    for (;;) {
      look.signal.throwIfAborted();
      const from = this.#from(look.stored);
      const { events, end } = await this.#deps.changes(look.capture, from, at);
      const changes = events.filter(isChange);
      const missing = await this.#firstMissing(changes, look);
      this.#isSuspicious = missing !== undefined;
      this.#proven = missing === undefined ? end : (changes[changes.indexOf(missing) - 1]?.token ?? from);
      for (const tail of this.#tails.values()) tail.forget(tokenTime(this.#proven));
      if (missing !== undefined) return missing.at > at;
      if (tokenTime(end) > at) return true;
      if (end.isAt(from)) return false;
    }
  }

  /** What was passed on between two drains, long ago, is a matter of the connector's health. */
  #from(stored: ResumeToken): ResumeToken {
    if (this.#proven === undefined) return stored;
    const behind = secondsOf(tokenTime(stored)) - secondsOf(tokenTime(this.#proven));
    return this.#isSuspicious || behind < LONG_AGO ? this.#proven : stored;
  }

  async #firstMissing(changes: readonly SeenEvent[], look: Look): Promise<SeenEvent | undefined> {
    const { signal, stored } = look;
    const missing = new Set<SeenEvent>();
    for (const [topic, group] of Map.groupBy(changes, (event) => topicOfEvent(look.capture, event))) {
      const tail = this.#tailOf(topic);
      const absent = (): SeenEvent[] => group.filter(({ token }) => !tail.has(token._data));
      // What Connect has stored is behind its records.
      const isPassed = ({ at }: SeenEvent): boolean => at < tokenTime(stored);
      const sinceMs = Math.min(...group.map(({ at }) => secondsOf(at))) * 1000;
      await tail.advance(sinceMs, signal);
      while (tail.isReadable && absent().some(isPassed) && (await tail.widen(sinceMs, signal)));
      const gone = absent().filter(isPassed);
      if (tail.isReadable) this.#requireNoLoss(gone, changes.length);
      // Where records cannot be read, the stored position alone tells.
      for (const event of absent()) if (tail.isReadable || !isPassed(event)) missing.add(event);
    }
    return changes.find((event) => missing.has(event));
  }

  #requireNoLoss(gone: readonly SeenEvent[], compared: number): void {
    const [loss] = lossFindings(this.#deps.connector, compared, gone);
    if (loss !== undefined) throw new FerryError(loss.code, loss.sentence);
  }

  #tailOf(topic: string): TopicTail {
    const { kafka, clock } = this.#deps;
    const known = this.#tails.get(topic) ?? new TopicTail({ kafka, topic, clock });
    this.#tails.set(topic, known);
    return known;
  }
}
