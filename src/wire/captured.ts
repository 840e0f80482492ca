import { BsonType, Cursor } from "#bson/walk.ts";
import { BsonWriter } from "#bson/writer.ts";
import type { ChangeEvent, DeleteEvent, LogRecord, Namespace, WriteEvent } from "#flow/types.ts";
import { keyText, tokenKeyText } from "./keyText.ts";

/**
 * Records as ferry's own capture makes them: what the recommended connector would have put on the topic, byte for byte where
 * it counts (docs/15-own-capture.md). In one process nobody looks at key and value, so they are built when somebody asks:
 * a producer, a dead letter. `offset` is given by the log.
 */
export type CapturedRecord = LogRecord & { readonly size: number; offset: number };

const ID = Buffer.from("_id");
const cursor = new Cursor();
const writer = new BsonWriter(4096);

/** `{ _id }` of a document, raw. The server keeps `_id` first, but need not have. */
export const documentKeyOf = (document: Uint8Array): Uint8Array => {
  cursor.open(document);
  if (!cursor.seek(ID)) return document;
  const { type, valueStart, valueEnd } = cursor;
  const at = writer.open();
  writer.value(type, "_id", document, valueStart, valueEnd);
  writer.close(at);
  return writer.take();
};

/** Documents of one copy share everything but themselves. */
export type CopyRun = Readonly<{
  ns: Namespace;
  /** The start position's time: constant per copy run, as the connector's `copyTime`. */
  at: bigint;
}>;

class CopiedWrite implements WriteEvent {
  readonly op = "write";
  readonly origin = "copy";
  readonly fresh = true;
  readonly ns: Namespace;
  readonly at: bigint;
  readonly doc: Uint8Array;

  constructor(run: CopyRun, doc: Uint8Array) {
    this.ns = run.ns;
    this.at = run.at;
    this.doc = doc;
  }

  get key(): Uint8Array {
    return documentKeyOf(this.doc);
  }
}

const writeNamespace = ({ db, coll }: Namespace): void => {
  writer.element(BsonType.object, "ns");
  const at = writer.open();
  writer.string("db", db);
  writer.string("coll", coll);
  writer.close(at);
};

const timestamp = (name: string, at: bigint): void => {
  writer.element(BsonType.timestamp, name);
  writer.rawInt64(at);
};

/** `{ _id: { _id, copyingData: true }, operationType: "insert", documentKey, fullDocument, copyTime, ns }` (facts of the connector, §7). */
const copyEnvelope = ({ ns, at, doc, key }: CopiedWrite): Buffer => {
  cursor.open(key);
  cursor.next();
  const { type, valueStart, valueEnd } = cursor;
  const top = writer.open();
  writer.element(BsonType.object, "_id");
  const id = writer.open();
  writer.value(type, "_id", key, valueStart, valueEnd);
  writer.boolean("copyingData", true);
  writer.close(id);
  writer.string("operationType", "insert");
  writer.document("documentKey", key);
  writer.document("fullDocument", doc);
  timestamp("copyTime", at);
  writeNamespace(ns);
  writer.close(top);
  return writer.take();
};

/** What a record costs beside its bytes, about: objects, and the view of the server's reply. Small documents are mostly this. */
export const RECORD_BYTES = 256;

/** A copied document. Made a million times a copy: two small objects around a view of the server's reply. */
export class CopiedRecord implements CapturedRecord {
  offset = 0;
  readonly event: CopiedWrite;
  readonly timestampMs: number;

  constructor(run: CopyRun, doc: Uint8Array, timestampMs: number) {
    this.event = new CopiedWrite(run, doc);
    this.timestampMs = timestampMs;
  }

  get size(): number {
    return this.event.doc.length + RECORD_BYTES;
  }

  get key(): Uint8Array {
    return Buffer.from(keyText(this.event.key));
  }

  get value(): Uint8Array {
    return copyEnvelope(this.event);
  }
}

/** Parts of a streamed event beside the event itself, as the reader of its bytes found them. */
export type StreamedParts = Readonly<{ documentKey: Uint8Array | undefined; token: string | undefined }>;

/** An event of the change stream, as the server sent it. */
export class StreamedRecord implements CapturedRecord {
  offset = 0;
  /** Absent where the event could not be understood: then the record speaks for itself. */
  declare readonly event?: ChangeEvent;
  readonly value: Uint8Array;
  readonly timestampMs: number;
  readonly #parts: StreamedParts;

  constructor(value: Uint8Array, event: ChangeEvent | undefined, parts: StreamedParts, timestampMs: number) {
    this.value = value;
    if (event !== undefined) this.event = event;
    this.#parts = parts;
    this.timestampMs = timestampMs;
  }

  get size(): number {
    return this.value.length + RECORD_BYTES;
  }

  get key(): Uint8Array | null {
    const { documentKey, token } = this.#parts;
    if (documentKey !== undefined) return Buffer.from(keyText(documentKey));
    return token === undefined ? null : Buffer.from(tokenKeyText(token));
  }
}

/** A delete that no event told of: the document is on the target, and the source has it no more. */
export const removalRecord = (run: CopyRun, documentKey: Uint8Array, timestampMs: number): CapturedRecord => {
  const event: DeleteEvent = { op: "delete", origin: "stream", ns: run.ns, at: run.at, key: documentKey };
  const top = writer.open();
  writer.string("operationType", "delete");
  timestamp("clusterTime", run.at);
  writeNamespace(run.ns);
  writer.document("documentKey", documentKey);
  writer.close(top);
  return new StreamedRecord(writer.take(), event, { documentKey, token: undefined }, timestampMs);
};
