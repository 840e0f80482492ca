import { BsonType, Cursor, find, int32At } from "#base/bson/walk.ts";
import { BsonWriter } from "#base/bson/writer.ts";

const SPLIT = Buffer.from("splitEvent");
const ID = Buffer.from("_id");
const DELTA = Buffer.from("updateDescription");
const cursor = new Cursor();
const writer = new BsonWriter(64 * 1024);

/** Which fragment of how many; undefined for a whole event. */
export const fragmentOf = (event: Uint8Array): Readonly<{ fragment: number; of: number }> | undefined => {
  const split = find(event, "splitEvent");
  if (split?.type !== BsonType.object) return undefined;
  const inner = event.subarray(split.start, split.end);
  const number = (name: string): number => {
    const found = find(inner, name);
    return found?.type === BsonType.int32 ? int32At(inner, found.start) : 0;
  };
  return { fragment: number("fragment"), of: number("of") };
};

const copyElements = (event: Uint8Array, isWanted: (cursor: Cursor) => boolean): void => {
  cursor.open(event);
  while (cursor.next()) if (isWanted(cursor)) writer.raw(event, cursor.nameStart - 1, cursor.valueEnd);
};

/**
 * One event from the fragments of `$changeStreamSplitLargeEvent` (MongoDB manual): every top-level field is in exactly one of
 * them, `_id` and `splitEvent` in each. The last fragment's `_id` is the event's: resuming after it skips the whole event.
 * Where the document is there, the delta that made the event too large is omitted: one of both is enough.
 */
export const joinFragments = (fragments: readonly Uint8Array[]): Buffer => {
  const last = fragments.at(-1);
  const whole = fragments.some((fragment) => find(fragment, "fullDocument")?.type === BsonType.object);
  const at = writer.open();
  if (last !== undefined) copyElements(last, (element) => element.named(ID));
  for (const fragment of fragments)
    copyElements(
      fragment,
      (element) => !element.named(ID) && !element.named(SPLIT) && !(whole && element.named(DELTA)),
    );
  writer.close(at);
  return writer.take();
};

/** Joins events that came in fragments, reply by reply. */
export class Fragments {
  #pending: Uint8Array[] = [];

  /** A position between two fragments must not be kept: resuming there would bring the rest of an event alone. */
  get isOpen(): boolean {
    return this.#pending.length > 0;
  }

  join(events: readonly Uint8Array[]): readonly Uint8Array[] {
    const whole: Uint8Array[] = [];
    for (const event of events) {
      const part = fragmentOf(event);
      if (part === undefined) {
        whole.push(event);
        continue;
      }
      if (part.fragment === 1) this.#pending = [];
      this.#pending.push(Buffer.from(event)); // outlives its reply
      if (part.fragment < part.of) continue;
      whole.push(joinFragments(this.#pending));
      this.#pending = [];
    }
    return whole;
  }
}
