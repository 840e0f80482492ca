import { isDocument } from "#base/bson/walk.ts";
import { BsonWriter } from "#base/bson/writer.ts";
import { parseBase64 } from "./json/scalars.ts";
import { copyString, endOf, membersOf, OPEN_OBJECT, QUOTE, skipSpace } from "./json/scan.ts";

/**
 * What a record's bytes hold once Kafka Connect's wrappings are off: BSON, JSON text, or nothing. The wrappings are
 * JsonConverter's: `{"schema": …, "payload": …}`, a JSON string that holds JSON text, and a JSON string that holds BSON
 * in base64. Source: Kafka Connect's JsonConverter, run with each setting.
 */
export type Unwrapped =
  | Readonly<{ kind: "bson"; bytes: Buffer }>
  | Readonly<{ kind: "json"; text: Buffer }>
  /** An envelope around null: a tombstone. */
  | Readonly<{ kind: "null" }>
  | Readonly<{ kind: "unknown"; reason: string }>;

/** A string in an envelope in a string is as deep as any converter wraps. */
const MOST_WRAPPINGS = 3;

/** UTF-8's byte order mark, which some producers put first. */
const markAt = (bytes: Buffer): boolean => bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf;

const unknown = (reason: string): Unwrapped => ({ kind: "unknown", reason });

/** Above any event; what claims to be longer is not BSON at all (letters read as a length give more). */
const LARGEST_EVENT = 64 * 1024 * 1024;

const notText = (bytes: Buffer): string => {
  if (bytes.length === 0) return "The record is empty.";
  if (bytes.length < 5) return `The record is neither BSON nor JSON: it has ${bytes.length} bytes.`;
  const claimed = bytes.readInt32LE(0);
  if (claimed > bytes.length && claimed < LARGEST_EVENT) {
    return `The record is neither JSON nor whole BSON: its length says ${claimed} bytes, ${bytes.length} are there.`;
  }
  if (claimed >= 5 && claimed < bytes.length && bytes[claimed - 1] === 0) {
    return `The record is BSON of ${claimed} bytes with ${bytes.length - claimed} more after its end.`;
  }
  if (bytes[0] === 0)
    return "The record is neither BSON nor JSON; it begins as a schema registry's (Avro, Protobuf), which ferry does not read.";
  return "The record is neither BSON nor JSON.";
};

const ENVELOPE_KEYS: readonly string[] = ["schema", "payload"];

const inString = (text: Buffer, at: number, depth: number): Unwrapped => {
  const out = new BsonWriter(text.length);
  const end = copyString(text, at, out);
  if (end < 0 || skipSpace(text, end) !== text.length)
    return unknown("The record begins as a JSON string and does not end as one.");
  const content = out.take();
  const bytes = parseBase64(content.toString("latin1"));
  if (bytes !== undefined && isDocument(bytes)) return { kind: "bson", bytes };
  return unwrap(content, depth + 1);
};

/** Is this object the envelope? Looked at only where its first key is one of the two. */
const inEnvelope = (text: Buffer, at: number, depth: number): Unwrapped | undefined => {
  const first = skipSpace(text, at + 1);
  if (text[first] !== QUOTE || (text[first + 1] !== 0x73 && text[first + 1] !== 0x70)) return undefined;
  const members = membersOf(text, at, 2);
  const payload = members?.find((member) => member.name === "payload");
  if (members?.length !== 2 || payload === undefined || !members.every(({ name }) => ENVELOPE_KEYS.includes(name))) {
    return undefined;
  }
  if (skipSpace(text, endOf(text, members)) !== text.length) return undefined;
  return unwrap(text.subarray(payload.start, payload.end), depth + 1);
};

/** Takes the wrappings off. Copies only what was escaped or in base64. */
export const unwrap = (bytes: Buffer, depth = 0): Unwrapped => {
  if (isDocument(bytes)) return { kind: "bson", bytes };
  const at = skipSpace(bytes, markAt(bytes) ? 3 : 0);
  const text = at === 0 ? bytes : bytes.subarray(at);
  if (depth > MOST_WRAPPINGS) return unknown("The record is wrapped in more layers of JSON than any converter makes.");
  if (text[0] === OPEN_OBJECT) return inEnvelope(text, 0, depth) ?? { kind: "json", text };
  if (text[0] === QUOTE) return inString(text, 0, depth);
  if (text.length === 4 && text.toString("latin1") === "null") return { kind: "null" };
  return unknown(notText(bytes));
};
