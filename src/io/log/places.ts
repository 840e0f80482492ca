import { bearsText, plainSpelling } from "#base/bson/spelling.ts";
import { BsonType, find } from "#base/bson/walk.ts";
import { BsonWriter } from "#base/bson/writer.ts";
import type { ChangeEvent, DdlEvent } from "#base/flow/types.ts";
import { partitionOf } from "#io/kafka/partitioner.ts";
import type { CapturedRecord } from "#io/wire/captured.ts";
import { appendIdText } from "#io/wire/keyText.ts";

const text = new BsonWriter();

/** A documentKey, or a document that has it; undefined where an event has none. */
const keyedOf = (event: ChangeEvent | undefined): Uint8Array | undefined => {
  if (event === undefined || event.op === "ddl") return undefined;
  if (event.op === "write") return event.doc;
  return event.op === "noop" ? event.of : event.key;
};

/**
 * The partition that all events of one document share, whatever spelling of its `_id` they have: Kafka's own hash of the
 * recommended connector's key for the plain spelling. So the usual `_id`s lie where the connector would put them, too.
 * @param keyed a documentKey or a document
 */
export const homeOf = (keyed: Uint8Array, partitions: number): number => {
  text.reset();
  appendIdText(text, plainSpelling(keyed) ?? keyed);
  return partitionOf(text.bytes, text.length, partitions);
};

/** Where texts of a collection with a collation live: which of them are one, its server alone knows. */
export const HOME_OF_TEXTS = 0;

/** What the creation of a collection says of its collation. */
const bringsCollation = ({ command }: DdlEvent): boolean => {
  const said = find(command, "operationDescription");
  return said?.type === BsonType.object && find(command.subarray(said.start, said.end), "collation") !== undefined;
};

/** Chooses the partitions of one topic. */
export class Places {
  readonly #partitions: number;
  #collated: boolean;

  /** @param collated does the collection compare `_id`s by a collation? Its creation, if the stream shows it, updates this. */
  constructor(partitions: number, collated: boolean) {
    this.#partitions = partitions;
    this.#collated = collated;
  }

  /**
   * The record's partition; `all` for a change of the collection itself, so that workers can align.
   * @param key as it is written
   */
  of({ event }: CapturedRecord, key: BsonWriter | undefined): number | "all" {
    if (event?.op === "ddl") {
      if (event.kind === "create") this.#collated = bringsCollation(event);
      return "all";
    }
    if (this.#partitions === 1 || key === undefined) return 0;
    const keyed = keyedOf(event);
    if (keyed === undefined) return partitionOf(key.bytes, key.length, this.#partitions);
    if (this.#collated && bearsText(keyed)) return HOME_OF_TEXTS;
    // A copied record's key is the text of its `_id` alone; those of a sharded source have more in them.
    const isText = event?.origin === "copy" && plainSpelling(keyed) === undefined;
    return isText ? partitionOf(key.bytes, key.length, this.#partitions) : homeOf(keyed, this.#partitions);
  }
}
