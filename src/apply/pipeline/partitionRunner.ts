import type { Claim } from "#apply/lanes/claims.ts";
import type { Entry } from "#apply/plan/entry.ts";
import { FerryError } from "#base/errors/ferryError.ts";
import { unlessAborted } from "#base/flow/abort.ts";
import type { BudgetShare } from "#base/flow/byteBudget.ts";
import { faultPoint } from "#base/flow/fault.ts";
import { TaskGroup } from "#base/flow/taskGroup.ts";
import {
  type DdlEvent,
  type DocumentEvent,
  formatNamespace,
  type LogBatch,
  type LogPartition,
  type LogRecord,
  type Namespace,
  recordBytes,
  type WriteEvent,
} from "#base/flow/types.ts";
import type { Decoder } from "#io/wire/decode.ts";
import type { Keyed } from "#io/wire/recordKey.ts";
import { gone, poison } from "./entries.ts";
import type { Lane } from "./lane.ts";

export type PartitionDeps = Readonly<{
  claim: Claim;
  /** The namespace that the topic carries. */
  ns: Namespace;
  partitionCount: number;
  reader: LogPartition;
  /** First offset that the log holds; a lane that starts before it starts there. */
  firstOffset: number;
  decode: Decoder;
  lanes: readonly Lane[];
  /** Which lane a document belongs to: the same for all spellings of its `_id`. */
  lane: (keyed: Uint8Array, lanes: number) => number;
  /** Looks at how an `_id` is spelled, before its event is handed to a lane. @throws where its order is not known */
  spelled: (keyed: Uint8Array) => Promise<void> | undefined;
  budget: BudgetShare;
  /** clusterTime of the newest drop; grows when `onDdl` applies one. */
  dropAt: () => bigint;
  /** A change of the collection itself; all lanes of the partition stand exactly before it. */
  onDdl: (event: DdlEvent, record: LogRecord) => Promise<void>;
  /** Looks at each entry that is handed to a lane, in the order of the log. */
  see: ((entry: Entry) => void) | undefined;
  /** The first copied record of a copy run that this partition has not seen. */
  onCopyRun: (copyAt: bigint) => Promise<void>;
}>;

const KEYED: Readonly<Record<Exclude<Keyed, "documentKey">, string>> = {
  resumeToken: "is keyed by its resume token",
  none: "has no key",
  other: "has a key that holds no documentKey",
};

const unkeyed = (claim: Claim, record: LogRecord, keyed: Keyed, partitionCount: number): FerryError =>
  new FerryError(
    "FERRY_APPLY_KEYS",
    `${claim.topic} [${claim.partition}] offset ${record.offset} ${KEYED[keyed as keyof typeof KEYED]}, and the topic has ${partitionCount} partitions`,
  );

/**
 * Looks at the first records of a topic with several partitions before any of them is applied.
 * @throws FERRY_APPLY_KEYS
 */
export const checkKeys = (
  records: readonly LogRecord[],
  { claim, partitionCount, decode }: Pick<PartitionDeps, "claim" | "partitionCount" | "decode">,
): void => {
  if (partitionCount === 1) return;
  for (const record of records) {
    const { event, keyed } = decode(record);
    if (event !== undefined && "key" in event && keyed !== "documentKey")
      throw unkeyed(claim, record, keyed, partitionCount);
  }
};

/**
 * Reads one partition from the lowest position of its lanes and hands each record to the lane of its key, or whole batches to
 * one lane where the log says that order allows it. Records that a lane already applied are skipped by that lane's own position.
 */
export class PartitionRunner {
  readonly #deps: PartitionDeps;
  readonly #nsText: string;
  #copyAt: bigint;
  #perLane: Entry[][];
  #highWatermark: number | undefined;
  /** The lane that takes all of the batch at hand; undefined: each record goes to its key's. */
  #whole: number | undefined;

  constructor(deps: PartitionDeps) {
    this.#deps = deps;
    this.#nsText = formatNamespace(deps.ns);
    this.#copyAt = deps.claim.copyAt;
    this.#perLane = deps.lanes.map(() => []);
  }

  /** The log's end as the newest batch tells it; undefined before the first. */
  get highWatermark(): number | undefined {
    return this.#highWatermark;
  }

  /**
   * Runs until `soft` aborts (what was read is applied and saved) or `hard` does (the rest is left to the next owner).
   * @throws the first failure of the reader or of a lane: FERRY_FENCED, FERRY_APPLY_*, FERRY_LOG_TRUNCATED, …
   */
  async run(soft: AbortSignal, hard: AbortSignal): Promise<void> {
    const { lanes, reader, firstOffset } = this.#deps;
    await using tasks = new TaskGroup(hard);
    for (const lane of lanes) tasks.run(() => lane.run(tasks.signal));
    tasks.run(async () => {
      const start = Math.max(firstOffset, Math.min(...lanes.map((lane) => lane.offset)));
      try {
        for await (const batch of reader.read(start, AbortSignal.any([soft, tasks.signal])))
          await this.#take(batch, tasks.signal);
      } finally {
        for (const lane of lanes) lane.close();
      }
    });
    await tasks.settled();
  }

  async #take(batch: LogBatch, signal: AbortSignal): Promise<void> {
    const { budget } = this.#deps;
    this.#highWatermark = batch.highWatermark;
    await budget.take(batch.bytes, signal);
    this.#whole = batch.turn === undefined ? undefined : batch.turn % this.#deps.lanes.length;
    let skipped = 0;
    for (const record of batch.records) {
      const routed = this.#route(record, signal);
      // Nearly always a plain answer: a turn of the event loop per record would be felt.
      if (!(typeof routed === "boolean" ? routed : await routed)) skipped += recordBytes(record);
    }
    this.#handOver(batch.end);
    if (batch.records.length > 0) faultPoint("after-read");
    if (skipped > 0) budget.give(skipped);
  }

  #handOver(end: number): void {
    const { lanes } = this.#deps;
    const perLane = this.#perLane;
    this.#perLane = lanes.map(() => []);
    lanes.forEach((lane, slice) => {
      lane.push(perLane[slice] ?? [], end);
    });
  }

  /** Puts a record into its lane's list; false when that lane is past it already. Awaits only at a barrier or a new copy run. */
  #route(record: LogRecord, signal: AbortSignal): boolean | Promise<boolean> {
    const decoded = this.#deps.decode(record);
    if (decoded.poison !== undefined) return this.#put(0, poison(record, "FERRY_APPLY_POISON", decoded.poison));
    const { event } = decoded;
    if (event.op === "noop")
      return this.#put(event.of === undefined ? 0 : this.#slice(event.of), { record, event, dead: undefined });
    // Older than an applied drop: sent again after a rewind, or still on its way when the drop was met elsewhere.
    if (event.at !== 0n && event.at <= this.#deps.dropAt())
      return this.#put(0, { record, event: gone(event), dead: undefined });
    // Services write to the target: what the source says now was carried back from there, and would go round.
    const { switchedAt } = this.#deps.claim;
    if (switchedAt !== undefined && event.at > switchedAt)
      return this.#put(0, { record, event: gone(event, "switched-since"), dead: undefined });
    if (event.op === "ddl") return this.#barrier(event, record, signal);
    if (event.ns.db !== this.#deps.ns.db || event.ns.coll !== this.#deps.ns.coll) {
      const detail = `the event belongs to ${formatNamespace(event.ns)}, the topic to ${this.#nsText}`;
      return this.#put(0, poison(record, "FERRY_APPLY_NAMESPACE", detail));
    }
    if (decoded.keyed !== "documentKey" && this.#deps.partitionCount > 1)
      throw unkeyed(this.#deps.claim, record, decoded.keyed, this.#deps.partitionCount);
    // A document has its key in it, so that a key of its own need not be made for this.
    const keyed = event.op === "write" ? event.doc : event.key;
    const looking = this.#deps.spelled(keyed);
    const entry: Entry = { record, event, dead: undefined };
    return looking === undefined
      ? this.#sort(entry, event, keyed)
      : looking.then(() => this.#sort(entry, event, keyed));
  }

  #sort(entry: Entry, event: DocumentEvent, keyed: Uint8Array): boolean | Promise<boolean> {
    const slice = this.#whole ?? this.#slice(keyed);
    if (event.op === "write" && event.origin === "copy" && event.at !== this.#copyAt)
      return this.#newCopyRun(slice, entry, event);
    return this.#put(slice, entry);
  }

  /** @param keyed a documentKey, or a document with its `_id` */
  #slice(keyed: Uint8Array): number {
    return this.#deps.lane(keyed, this.#deps.lanes.length);
  }

  #put(slice: number, entry: Entry): boolean {
    const lane = this.#deps.lanes[slice];
    if (lane === undefined || entry.record.offset < lane.offset) return false;
    this.#deps.see?.(entry);
    this.#perLane[slice]?.push(entry);
    return true;
  }

  async #newCopyRun(slice: number, entry: Entry, event: WriteEvent): Promise<boolean> {
    await this.#deps.onCopyRun(event.at);
    this.#copyAt = event.at;
    return this.#put(slice, entry);
  }

  /** Everything before the event is applied and saved, then the event, then the log continues. */
  async #barrier(event: DdlEvent, record: LogRecord, signal: AbortSignal): Promise<boolean> {
    const { lanes, onDdl } = this.#deps;
    if (lanes.every((lane) => record.offset < lane.offset)) return false;
    this.#handOver(record.offset);
    await unlessAborted(Promise.all(lanes.map((lane) => lane.drained())), signal);
    // A dead letter that was replayed meanwhile would write what is older than the drop into the collection that comes after it.
    const still = await unlessAborted(Promise.all(lanes.map((lane) => lane.standStill(signal))), signal);
    signal.throwIfAborted();
    try {
      faultPoint("in-barrier");
      await onDdl(event, record);
      faultPoint("after-barrier");
    } finally {
      for (const goOn of still ?? []) goOn();
    }
    return this.#put(0, { record, event, dead: undefined });
  }
}
