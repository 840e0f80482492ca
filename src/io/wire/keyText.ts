import { BSON } from "bson";
import { BsonType, Cursor, int32At } from "#base/bson/walk.ts";
import { BsonWriter } from "#base/bson/writer.ts";
import { documentKeyOf, ID } from "./documentKey.ts";

/**
 * A record's key as the recommended connector writes it: documentKey in canonical extended JSON, spaced as the Java
 * driver does it. The same `_id` has the same bytes from either, so that it stays in its partition.
 * Source: org.bson.json.JsonWriter and StrictCharacterStreamJsonWriter of the Java driver.
 */

/** What Java's writer leaves as it is: letters, digits, spaces, punctuation and symbols; everything else is escaped, surrogates too. */
const PLAIN = /^[\p{Lu}\p{Ll}\p{Lt}\p{Lo}\p{N}\p{Zs}\p{P}\p{S}]$/u;
const SIMPLE = /^[ !#-[\]-~]*$/;

const SHORT: Readonly<Record<string, string>> = {
  '"': '\\"',
  "\\": "\\\\",
  "\b": "\\b",
  "\f": "\\f",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
};

const escaped = (unit: string): string => {
  const short = SHORT[unit];
  if (short !== undefined) return short;
  return PLAIN.test(unit) ? unit : `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`;
};

const quoted = (text: string): string =>
  SIMPLE.test(text) ? `"${text}"` : `"${text.split("").map(escaped).join("")}"`;

const spaced = (value: unknown): string => {
  if (Array.isArray(value)) return `[${value.map(spaced).join(", ")}]`;
  if (typeof value === "object" && value !== null)
    return `{${Object.entries(value)
      .map(([name, inner]) => `${quoted(name)}: ${spaced(inner)}`)
      .join(", ")}}`;
  return typeof value === "string" ? quoted(value) : String(value);
};

/** Other UTF-8 shows as U+FFFD, as it does in Java. */
const LENIENT = { promoteValues: false, bsonRegExp: true, promoteBuffers: false, validation: { utf8: false } } as const;

/** A value that holds no others, by the driver's own spelling. */
const scalarText = (type: number, bytes: Uint8Array): string => {
  if (type === BsonType.undefined) return '{"$undefined": true}';
  const one = new BsonWriter(bytes.length + 8);
  const at = one.open();
  one.value(type, "v", bytes);
  one.close(at);
  return spaced(BSON.EJSON.serialize(BSON.deserialize(one.take(), LENIENT), { relaxed: false })["v"]);
};

/** Names in their order, whatever they look like: an object would put numbers first. */
const documentText = (bytes: Uint8Array, isArray: boolean): string => {
  const elements = new Cursor();
  const parts: string[] = [];
  elements.open(bytes);
  while (elements.next()) {
    const { type, nameStart, nameEnd, valueStart, valueEnd } = elements;
    const value = bytes.subarray(valueStart, valueEnd);
    const isNested = type === BsonType.object || type === BsonType.array;
    const text = isNested ? documentText(value, type === BsonType.array) : scalarText(type, value);
    parts.push(isArray ? text : `${quoted(Buffer.from(bytes.subarray(nameStart, nameEnd)).toString())}: ${text}`);
  }
  return isArray ? `[${parts.join(", ")}]` : `{${parts.join(", ")}}`;
};

const cursor = new Cursor();
const hex = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));
const HIGH = Uint8Array.from(hex, (digits) => digits.charCodeAt(0));
const LOW = Uint8Array.from(hex, (digits) => digits.charCodeAt(1));
const OBJECT_ID = Buffer.from('{"_id": {"$oid": "');
const INT32 = Buffer.from('{"_id": {"$numberInt": "');
const SHUT = Buffer.from('"}}');

/** The usual `_id`s without decoding; false where it is another type, and nothing is written. */
const appendUsual = (out: BsonWriter, type: number, bytes: Uint8Array, start: number): boolean => {
  if (type === BsonType.objectId) {
    out.raw(OBJECT_ID);
    out.reserve(24);
    for (let at = start; at < start + 12; at++) {
      const byte = bytes[at] as number;
      out.bytes[out.length++] = HIGH[byte] as number;
      out.bytes[out.length++] = LOW[byte] as number;
    }
  } else if (type === BsonType.int32) {
    out.raw(INT32);
    out.text(String(int32At(bytes, start)));
  } else return false;
  out.raw(SHUT);
  return true;
};

const appendAny = (out: BsonWriter, documentKey: Uint8Array): void => out.text(documentText(documentKey, false));

/** Appends the key of a document whose documentKey is its `_id` alone. @param document raw BSON */
export const appendIdText = (out: BsonWriter, document: Uint8Array): void => {
  cursor.open(document);
  const usual = cursor.seek(ID) && appendUsual(out, cursor.type, document, cursor.valueStart);
  if (!usual) appendAny(out, documentKeyOf(document));
};

/** Length of a document that holds nothing but an `_id`, without the `_id`'s value: its length, type, name and closing zero. */
const ONLY_ID_BYTES = 4 + 1 + 4 + 1;

/** Appends the key of a document. @param documentKey raw BSON: `_id`, and the fields of a shard key, if there is one */
export const appendKeyText = (out: BsonWriter, documentKey: Uint8Array): void => {
  cursor.open(documentKey);
  const isAlone = cursor.seek(ID) && cursor.valueEnd - cursor.valueStart + ONLY_ID_BYTES === documentKey.length;
  if (isAlone) appendIdText(out, documentKey);
  else appendAny(out, documentKey);
};

/** Appends the key of an event that has no documentKey: its resume token. */
export const appendTokenText = (out: BsonWriter, token: string): void => out.text(`{"_id": {"_data": "${token}"}}`);
