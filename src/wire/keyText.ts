import { BSON } from "bson";
import { BsonType, int32At } from "#bson/walk.ts";

/**
 * A record's key as the recommended connector writes it: documentKey in canonical extended JSON, spaced as the Java
 * driver does it. The same `_id` has the same bytes from either, so that it stays in its partition.
 * Source: org.bson.json.JsonWriter and StrictCharacterStreamJsonWriter of the Java driver.
 */
const KEEP_TYPES = { promoteValues: false, bsonRegExp: true, promoteBuffers: false } as const;

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

/** The usual `_id`s without decoding: ObjectId and int32 as the only field. */
const quick = (key: Uint8Array): string | undefined => {
  if (key[5] !== 0x5f || key[6] !== 0x69 || key[7] !== 0x64 || key[8] !== 0) return undefined;
  if (key[4] === BsonType.objectId && key.length === 22)
    return `{"_id": {"$oid": "${Buffer.from(key.buffer, key.byteOffset + 9, 12).toString("hex")}"}}`;
  if (key[4] === BsonType.int32 && key.length === 14) return `{"_id": {"$numberInt": "${int32At(key, 9)}"}}`;
  return undefined;
};

/** @param documentKey raw BSON */
export const keyText = (documentKey: Uint8Array): string =>
  quick(documentKey) ??
  spaced(BSON.EJSON.serialize(BSON.deserialize(documentKey, KEEP_TYPES), { relaxed: false }) as object);

/** The key of an event that has no documentKey: its resume token. */
export const tokenKeyText = (token: string): string => `{"_id": {"_data": "${token}"}}`;
