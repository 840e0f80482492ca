import { BsonType, Cursor } from "#base/bson/walk.ts";
import { BsonWriter } from "#base/bson/writer.ts";
import type { Namespace } from "#base/flow/types.ts";
import { ID } from "./documentKey.ts";

export const writeNamespace = (out: BsonWriter, { db, coll }: Namespace): void => {
  out.element(BsonType.object, "ns");
  const at = out.open();
  out.string("db", db);
  out.string("coll", coll);
  out.close(at);
};

export const timestamp = (out: BsonWriter, name: string, at: bigint): void => {
  out.element(BsonType.timestamp, name);
  out.rawInt64(at);
};

const bytesOf = (write: (out: BsonWriter) => void): Buffer => {
  const out = new BsonWriter(128);
  write(out);
  return out.take();
};

const endId = (out: BsonWriter): void => {
  out.boolean("copyingData", true);
  out.byte(0);
};

/** What lies before the first `_id`, between it and the second, and between that and the document. */
const BEFORE_ID = bytesOf((out) => out.element(BsonType.object, "_id"));
const END_ID_BYTES = bytesOf(endId).length;
const BETWEEN_IDS = bytesOf((out) => {
  endId(out);
  out.string("operationType", "insert");
  out.element(BsonType.object, "documentKey");
});
const BEFORE_DOCUMENT = bytesOf((out) => {
  out.byte(0);
  out.element(BsonType.object, "fullDocument");
});

const cursor = new Cursor();
/** Type byte and name of an `_id`. */
const ID_HEAD_BYTES = 1 + ID.length + 1;

/** Goes to `_id` and gives the length of the whole element; 0 where there is none. */
const seekId = (document: Uint8Array): number => {
  cursor.open(document);
  return cursor.seek(ID) ? cursor.valueEnd - cursor.valueStart + ID_HEAD_BYTES : 0;
};

/**
 * Documents of one copy have the same bytes around them: `{ _id: { _id, copyingData: true }, operationType: "insert",
 * documentKey, fullDocument, copyTime, ns }` (facts of the connector, §7).
 */
export class CopyRun {
  readonly ns: Namespace;
  /** The start position's time: constant per copy run, as the connector's `copyTime`. */
  readonly at: bigint;
  readonly #behind: Buffer;

  constructor(ns: Namespace, at: bigint) {
    this.ns = ns;
    this.at = at;
    this.#behind = bytesOf((out) => {
      timestamp(out, "copyTime", at);
      writeNamespace(out, ns);
      out.byte(0);
    });
  }

  /** Bytes that `write` appends for a document. */
  lengthOf(document: Uint8Array): number {
    return this.#length(seekId(document), document.length);
  }

  #length(id: number, document: number): number {
    const around = BEFORE_ID.length + BETWEEN_IDS.length + BEFORE_DOCUMENT.length + this.#behind.length;
    return around + document + 2 * id + 3 * 4;
  }

  /** Appends the event that a document is copied in. */
  write(out: BsonWriter, document: Uint8Array): void {
    const id = seekId(document);
    const { valueEnd } = cursor;
    out.rawInt32(this.#length(id, document.length));
    out.raw(BEFORE_ID);
    out.rawInt32(4 + id + END_ID_BYTES);
    out.raw(document, valueEnd - id, valueEnd);
    out.raw(BETWEEN_IDS);
    out.rawInt32(4 + id + 1);
    out.raw(document, valueEnd - id, valueEnd);
    out.raw(BEFORE_DOCUMENT);
    out.raw(document);
    out.raw(this.#behind);
  }
}
