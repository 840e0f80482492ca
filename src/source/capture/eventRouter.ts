import type { Clock } from "#base/flow/clock.ts";
import { formatNamespace, type Namespace } from "#base/flow/types.ts";
import type { Logger } from "#base/observe/log.ts";
import type { CaptureOutput } from "#io/log/captureOutput.ts";
import { type CapturedRecord, StreamedRecord } from "#io/wire/captured.ts";
import { EventReader } from "#io/wire/event.ts";
import { namespaceIn, operationOf } from "#source/stream/rawEvent.ts";
import type { Scope } from "#source/stream/scope.ts";

export type EventRouterDeps = Readonly<{ scope: Scope; output: CaptureOutput; clock: Clock; logger: Logger }>;

type TopicPart = { records: CapturedRecord[]; bytes: number };

/**
 * Puts events of the change stream onto the topics of their namespaces, in their order: the topic is called like the
 * namespace, as the connector does it. A rename goes to the topic of the old name, where the old name is carried; the drop
 * of a database to the first of its topics.
 */
export class EventRouter {
  readonly #deps: EventRouterDeps;
  // The server's own bytes: what it nested is sound.
  readonly #reader = new EventReader({ nested: false });
  readonly #opened = new Set<string>();

  constructor(deps: EventRouterDeps) {
    this.#deps = deps;
  }

  /** Resolves when there is room for more. @throws the signal's reason */
  async append(events: readonly Uint8Array[], signal: AbortSignal): Promise<void> {
    const { output } = this.#deps;
    const parts = new Map<string, TopicPart>();
    const now = this.#deps.clock.now();
    for (const event of events) this.#sort(Buffer.from(event.buffer, event.byteOffset, event.byteLength), now, parts);
    for (const [topic, { records, bytes }] of parts) {
      if (!this.#opened.has(topic)) await output.open(topic);
      this.#opened.add(topic);
      await output.append(topic, records, bytes, signal);
    }
  }

  #sort(bytes: Buffer, now: number, parts: Map<string, TopicPart>): void {
    const read = this.#reader.read(bytes);
    const event = typeof read === "string" ? undefined : read;
    const topic = this.#topicOf(event?.ns ?? namespaceIn(bytes, "ns"), bytes, parts);
    if (topic === undefined) return;
    const { documentKey, token } = this.#reader;
    const record = new StreamedRecord(bytes, event, { documentKey, token }, now);
    const part = parts.get(topic);
    if (part === undefined) parts.set(topic, { records: [record], bytes: record.size });
    else {
      part.records.push(record);
      part.bytes += record.size;
    }
  }

  #topicOf(ns: Namespace, bytes: Buffer, parts: ReadonlyMap<string, TopicPart>): string | undefined {
    const { scope } = this.#deps;
    if (scope.has(ns)) return formatNamespace(ns);
    const to = namespaceIn(bytes, "to");
    if (to.db !== "" && scope.has(to)) return formatNamespace(to);
    return ns.coll === "" ? this.#topicWithin(ns.db, operationOf(bytes), parts) : undefined;
  }

  /**
   * A database's own event has no collection. Its collections' drops came before it; the rest must be checked:
   * views and time series. The choice is the same when the stream is read again from a saved position: the topics that are
   * known then were known at the position, or come with the events after it.
   */
  #topicWithin(db: string, kind: string, parts: ReadonlyMap<string, TopicPart>): string | undefined {
    const { output, logger } = this.#deps;
    const [first] = [...output.ends().keys(), ...parts.keys()].filter((topic) => topic.startsWith(`${db}.`)).sort();
    logger.info({ stage: "stream", ns: db }, `${kind} of a whole database`);
    return first;
  }
}
