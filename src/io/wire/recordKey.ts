import { identityOf } from "#base/bson/identity.ts";
import { BsonType, Cursor, find, rawValue } from "#base/bson/walk.ts";
import { unwrap } from "./envelope.ts";
import type { Transcoder } from "./json/transcode.ts";

/**
 * What a Kafka record is keyed by. Only records keyed by documentKey keep one document's events in one partition, so
 * the worker refuses topics with several partitions that are keyed otherwise (`change.stream.document.key.as.key`).
 * `resumeToken` stands for the event's own `_id`: the token of a streamed event, the marker of a copied one, and the
 * key of every ddl event and heartbeat.
 */
export type Keyed = "documentKey" | "resumeToken" | "none" | "other";

const JSON_START = Buffer.from('{"_id":');

/** Does the text at `at` begin an object whose first key could be that of an event's own `_id`, or a string that holds one? */
const mayBeEventId = (text: Uint8Array, at: number): boolean => {
  if (text[at] === 0x22) return text[at + 1] === 0x7b;
  if (text[at] !== 0x7b) return false;
  let i = at + 1;
  while (text[i] === 0x20) i++;
  // `{"_data"` of a token, `{"_id"` of the copy's marker.
  return text[i] === 0x22 && text[i + 1] === 0x5f && (text[i + 2] === 0x64 || text[i + 2] === 0x69);
};

/** The common case without parsing: `{"_id": …` whose value cannot be an event's own `_id`. */
const plainlyDocumentKey = (key: Uint8Array): boolean => {
  for (let i = 0; i < JSON_START.length; i++) if (key[i] !== JSON_START[i]) return false;
  let at = JSON_START.length;
  while (key[at] === 0x20) at++;
  return !mayBeEventId(key, at);
};

const idCursor = new Cursor();
const ID = Buffer.from("_id");

/** A BSON key whose first field is `_id` and no subdocument. */
const plainlyBsonKey = (key: Uint8Array): boolean =>
  key.length > 9 &&
  key[key.length - 1] === 0 &&
  key[4] !== BsonType.object &&
  idCursor.open(key) &&
  idCursor.next() &&
  idCursor.named(ID);

const isEventId = (id: Uint8Array): boolean => find(id, "_data") !== undefined || find(id, "copyingData") !== undefined;

const subdocument = (bytes: Uint8Array, name: string): Uint8Array | undefined =>
  find(bytes, name)?.type === BsonType.object ? rawValue(bytes, name) : undefined;

/** The key as one BSON document, whatever it came in. */
const asDocument = (key: Buffer, transcoder: Transcoder): Buffer | undefined => {
  const unwrapped = unwrap(key);
  const bytes =
    unwrapped.kind === "bson"
      ? unwrapped.bytes
      : unwrapped.kind === "json"
        ? transcoder.document(unwrapped.text)
        : undefined;
  // A schema'd key holds documentKey under its own name, or `_id` as text.
  const inner = bytes && subdocument(bytes, "documentKey");
  return inner === undefined ? bytes : Buffer.from(inner);
};

/** An event's own `_id` as JSON text in a string, as the connector's default key schema has it. */
const isEventIdText = (bytes: Buffer): boolean => {
  const id = find(bytes, "_id");
  if (id?.type !== BsonType.string) return false;
  const text = bytes.toString("latin1", id.start + 4, id.end - 1);
  return /^\{\s*"_data"\s*:/.test(text) || /^\{\s*"_id"\s*:.*"copyingData"\s*:\s*true\s*\}$/.test(text);
};

/** The slow way: reads the whole key and compares it with the event's documentKey. */
const classifyParsed = (key: Buffer, documentKey: Uint8Array | undefined, transcoder: Transcoder): Keyed => {
  const bytes = asDocument(key, transcoder);
  if (bytes === undefined) return "other";
  if (find(bytes, "_data") !== undefined) return "resumeToken";
  if (find(bytes, "_id") === undefined) return "other";
  const id = subdocument(bytes, "_id");
  if (id === undefined ? !isEventIdText(bytes) : !isEventId(id)) return "documentKey";
  // A document's own `_id` may look like an event's: then the event's documentKey says the same.
  return documentKey !== undefined && identityOf(bytes) === identityOf(documentKey) ? "documentKey" : "resumeToken";
};

/** Is this the key of a heartbeat: the resume token alone, `{"_data": …}`? */
export const isHeartbeatKey = (key: Buffer | null, transcoder: Transcoder): boolean => {
  const bytes = key && asDocument(key, transcoder);
  return bytes !== null && bytes !== undefined && find(bytes, "_data") !== undefined;
};

/**
 * Classifies a record's key: JSON, BSON, and Connect's wrappings of both. `documentKey` is the event's, validated, or
 * undefined where it has none. A few bytes are looked at in the common case.
 */
export const classifyKey = (key: Buffer | null, documentKey: Uint8Array | undefined, transcoder: Transcoder): Keyed => {
  if (key === null) return "none";
  if (plainlyDocumentKey(key) || plainlyBsonKey(key)) return "documentKey";
  return classifyParsed(key, documentKey, transcoder);
};
