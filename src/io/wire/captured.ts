import { BsonWriter } from "#base/bson/writer.ts";
import type { ChangeEvent, DeleteEvent, LogRecord, Namespace, WriteEvent } from "#base/flow/types.ts";
import { type CopyRun, timestamp, writeNamespace } from "./copyRun.ts";
import { documentKeyOf } from "./documentKey.ts";
import { appendIdText, appendKeyText, appendTokenText } from "./keyText.ts";

/**
 * Records as ferry's own capture makes them: what the recommended connector would have put on the topic, byte for byte where
 * it counts (docs/15-own-capture.md). In one process key and value are not needed, so they are made on demand:
 * a producer, which has them written where they belong, or a dead letter. `offset` is given by the log.
 */
export type CapturedRecord = LogRecord & {
  readonly size: number;
  offset: number;
  /** Bytes of `value`, without making it. */
  readonly valueLength: number;
  /** Appends `key`; false where there is none. */
  writeKey(out: BsonWriter): boolean;
  /** Appends `value`. */
  writeValue(out: BsonWriter): void;
};

const writer = new BsonWriter(4096);

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

/** What a record costs beside its bytes, about: objects, and the view of the server's reply. Small documents are mostly this. */
export const RECORD_BYTES = 256;

/** A copied document. Made a million times a copy: two small objects around a view of the server's reply. */
export class CopiedRecord implements CapturedRecord {
  offset = 0;
  readonly event: CopiedWrite;
  readonly timestampMs: number;
  readonly #run: CopyRun;

  constructor(run: CopyRun, doc: Uint8Array, timestampMs: number) {
    this.#run = run;
    this.event = new CopiedWrite(run, doc);
    this.timestampMs = timestampMs;
  }

  get size(): number {
    return this.event.doc.length + RECORD_BYTES;
  }

  get key(): Uint8Array {
    this.writeKey(writer);
    return writer.take();
  }

  get value(): Uint8Array {
    this.writeValue(writer);
    return writer.take();
  }

  get valueLength(): number {
    return this.#run.lengthOf(this.event.doc);
  }

  writeKey(out: BsonWriter): boolean {
    appendIdText(out, this.event.doc);
    return true;
  }

  writeValue(out: BsonWriter): void {
    this.#run.write(out, this.event.doc);
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
    return this.writeKey(writer) ? writer.take() : null;
  }

  get valueLength(): number {
    return this.value.length;
  }

  writeKey(out: BsonWriter): boolean {
    const { documentKey, token } = this.#parts;
    if (documentKey !== undefined) appendKeyText(out, documentKey);
    else if (token !== undefined) appendTokenText(out, token);
    else return false;
    return true;
  }

  writeValue(out: BsonWriter): void {
    out.raw(this.value);
  }
}

/** A delete without an event: the document is on the target, and no longer on the source. */
export const removalRecord = (run: CopyRun, documentKey: Uint8Array, timestampMs: number): CapturedRecord => {
  const event: DeleteEvent = { op: "delete", origin: "stream", ns: run.ns, at: run.at, key: documentKey };
  const top = writer.open();
  writer.string("operationType", "delete");
  timestamp(writer, "clusterTime", run.at);
  writeNamespace(writer, run.ns);
  writer.document("documentKey", documentKey);
  writer.close(top);
  return new StreamedRecord(writer.take(), event, { documentKey, token: undefined }, timestampMs);
};
