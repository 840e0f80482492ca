import { BsonType, Cursor, rawValue } from "#base/bson/walk.ts";
import { BsonWriter } from "#base/bson/writer.ts";
import type { Transcoder } from "./json/transcode.ts";

/**
 * The connector's `output.format.value=schema` with its default schema: an event whose bodies are JSON text inside of
 * string fields, and whose absent fields are null. Brought here into the shape of a change event.
 *
 * It does not distinguish an update that was not looked up from one whose document is deleted since:
 * both say `fullDocument: null`. Both become a patch, which is right for either, since a patch of an absent document
 * does nothing. A schema without `truncatedArrays` cannot describe a patch in full, so such an update is refused.
 */

/** Fields whose text is a JSON value. */
const TEXT_FIELDS: ReadonlySet<string> = new Set(["_id", "documentKey", "fullDocument", "clusterTime", "copyTime"]);
const TEXT_DELTAS: ReadonlySet<string> = new Set(["updatedFields", "disambiguatedPaths"]);

/** Where `Transcoder.value` puts the one value: behind the length, a type byte and an empty name. */
const VALUE_AT = 6;

const putParsed = (out: BsonWriter, name: string, text: Buffer, transcoder: Transcoder): boolean => {
  const parsed = transcoder.value(text);
  if (parsed === undefined) return false;
  out.value(parsed[4] as number, name, parsed, VALUE_AT, parsed.length - 1);
  return true;
};

/** Copies the fields of a document without its nulls; string fields named in `texts` are parsed. */
const unfold = (bytes: Buffer, texts: ReadonlySet<string>, out: BsonWriter, transcoder: Transcoder): boolean => {
  const cursor = new Cursor();
  cursor.open(bytes);
  while (cursor.next()) {
    const { type, valueStart, valueEnd } = cursor;
    const name = bytes.toString("utf8", cursor.nameStart, cursor.nameEnd);
    if (type === BsonType.null) continue;
    if (type === BsonType.string && texts.has(name)) {
      if (!putParsed(out, name, bytes.subarray(valueStart + 4, valueEnd - 1), transcoder)) return false;
    } else if (type === BsonType.object && name === "updateDescription") {
      out.element(BsonType.object, name);
      const open = out.open();
      if (!unfold(bytes.subarray(valueStart, valueEnd), TEXT_DELTAS, out, transcoder)) return false;
      out.close(open);
    } else out.value(type, name, bytes, valueStart, valueEnd);
  }
  return true;
};

const ID = Buffer.from("_id");
const seeker = new Cursor();

/** Is this such an event? Its `_id` is text, which a change event's never is. */
export const isStructEvent = (bytes: Buffer): boolean =>
  seeker.open(bytes) && seeker.seek(ID) && seeker.type === BsonType.string;

/** The change event, or a sentence that says why there is none. `bytes` is a sound document. */
export const unfoldStructEvent = (bytes: Buffer, transcoder: Transcoder): Buffer | string => {
  const out = new BsonWriter(bytes.length + 256);
  const open = out.open();
  if (!unfold(bytes, TEXT_FIELDS, out, transcoder)) {
    return `A field of the schema'd event is not the JSON text that it should be: ${transcoder.problem}.`;
  }
  out.close(open);
  const event = out.take();
  const update = rawValue(bytes, "updateDescription");
  const whole = rawValue(event, "fullDocument");
  if (
    update !== undefined &&
    update.length > 0 &&
    whole === undefined &&
    rawValue(update, "truncatedArrays") === undefined
  ) {
    return "The schema'd update has no fullDocument, and its schema leaves truncatedArrays out; set output.format.value=bson on the connector.";
  }
  return event;
};
