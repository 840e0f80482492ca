import { BSON, BSONValue } from "bson";
import { assert } from "#base/errors/ferryError.ts";
import { bsonText } from "./text.ts";
import { BsonType, Cursor, find } from "./walk.ts";

/**
 * A value of a server as the bytes it was, for a place in a command of the driver: what came from a server goes back to one
 * untouched. Decoding and encoding it once more would put names that look like numbers first, refuse other UTF-8, and choose
 * other types for numbers. A decoded value is not assignable to this.
 *
 * The driver's encoder lets one kind of value write its own bytes: an ObjectId, by `serializeInto`. This poses as one, and
 * puts its own type byte over that kind's. That is no public API: the check below, and test/contract/rawValue.test.ts, fail
 * loudly when an upgrade changes it.
 */
export class RawValue extends BSONValue {
  readonly type: number;
  readonly bytes: Uint8Array;

  constructor(type: number, bytes: Uint8Array) {
    super();
    this.type = type;
    this.bytes = bytes;
  }

  get _bsontype(): "ObjectId" {
    return "ObjectId";
  }

  /** Called by the encoder, behind type byte, name and zero of the element. The name is one of ferry's own, without control characters. */
  serializeInto(into: Uint8Array, at: number): number {
    let typeAt = at - 2;
    while (into[typeAt] !== BsonType.objectId) typeAt--;
    into[typeAt] = this.type;
    into.set(this.bytes, at);
    return this.bytes.length;
  }

  /** For people: canonical extended JSON on one line. */
  get text(): string {
    return this.#text(true);
  }

  #text(canonical: boolean): string {
    const element = new Uint8Array(this.bytes.length + 7);
    new DataView(element.buffer).setInt32(0, element.length, true);
    element[4] = this.type;
    element.set(this.bytes, 6);
    return bsonText(element, { canonical }).slice(4, -1);
  }

  /** For people as well: relaxed. */
  toJSON(): unknown {
    return JSON.parse(this.#text(false));
  }

  inspect(): string {
    return this.text;
  }
}

/** A whole document. @param bytes raw BSON */
export const rawDocument = (bytes: Uint8Array): RawValue => new RawValue(BsonType.object, bytes);

/** The first top-level value of this name; undefined where there is none. @param document raw BSON */
export const rawField = (document: Uint8Array, name: string): RawValue | undefined => {
  const found = find(document, name);
  return found === undefined ? undefined : new RawValue(found.type, document.subarray(found.start, found.end));
};

/** The text of a top-level string; empty for anything else. @param document raw BSON */
export const textIn = (document: Uint8Array, name: string): string => {
  const found = find(document, name);
  if (found?.type !== BsonType.string) return "";
  return Buffer.from(document.buffer, document.byteOffset).toString("utf8", found.start + 4, found.end - 1);
};

/** The values of a document or list, in their order; none of one that is not there. */
export const elementsOf = (value: RawValue | undefined): readonly RawValue[] => {
  const values: RawValue[] = [];
  if (value === undefined) return values;
  const cursor = new Cursor();
  cursor.open(value.bytes);
  while (cursor.next())
    values.push(new RawValue(cursor.type, value.bytes.subarray(cursor.valueStart, cursor.valueEnd)));
  return values;
};

/** `_id` of a documentKey, a bound, or a document. @throws FERRY_BUG where it has none @param document raw BSON */
export const rawId = (document: Uint8Array): RawValue => {
  const id = rawField(document, "_id");
  assert(id !== undefined, "a document of a server has no _id");
  return id;
};

assert(
  Buffer.from(BSON.serialize({ v: new RawValue(BsonType.int32, Uint8Array.of(1, 2, 3, 4)) })).toString("hex") ===
    "0c0000001076000102030400",
  "the installed bson package no longer lets a value write its own bytes (bson/rawValue.ts)",
);
