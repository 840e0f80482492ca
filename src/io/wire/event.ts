import { BsonType, Cursor, flawWithin, uint32At, validate } from "#base/bson/walk.ts";
import { type ChangeEvent, DDL_KINDS, type DdlKind, type Namespace } from "#base/flow/types.ts";
import { isOf } from "./documentKey.ts";

/**
 * One change event as raw BSON → ChangeEvent, whose bodies are slices of the bytes given. Two shapes arrive: the
 * server's change events (https://www.mongodb.com/docs/manual/reference/change-events/), and the official connector's
 * copy records, which look like an insert whose `_id` is `{ _id, copyingData: true }`.
 */

const DDL: ReadonlySet<string> = new Set(DDL_KINDS);

const isDdl = (kind: string): kind is DdlKind => DDL.has(kind);

const ABSENT = -1;

/** Where one top-level field lies. The first of a name counts. */
class EventField {
  readonly name: Buffer;
  type = ABSENT;
  start = 0;
  end = 0;

  constructor(name: string) {
    this.name = Buffer.from(name);
  }

  take(cursor: Cursor): void {
    if (this.type !== ABSENT || !cursor.named(this.name)) return;
    this.type = cursor.type;
    this.start = cursor.valueStart;
    this.end = cursor.valueEnd;
  }
}

const NAMESPACE_DB = Buffer.from("db");
const NAMESPACE_COLL = Buffer.from("coll");
const TOKEN_DATA = Buffer.from("_data");
const COPYING = Buffer.from("copyingData");
const ID = Buffer.from("_id");

const NONE: Namespace = { db: "", coll: "" };
/** No more namespaces than this are kept; a topic carries one, a whole cluster's topic some hundreds. */
const MAX_NAMESPACES = 10_000;

export type EventOptions = Readonly<{
  /** Read documents to the bottom (the default), or only their top level where the source of the bytes is trusted. */
  nested: boolean;
}>;

/** The parts of one record that the decoder needs next. Reused: read it before the next `read`. */
export class EventReader {
  /** `_id._data` of a streamed event, hexadecimal. */
  token: string | undefined;
  /** Raw documentKey, also where the event is a ddl or noop; undefined where it has none. */
  documentKey: Uint8Array | undefined;

  readonly #nested: boolean;
  readonly #cursor = new Cursor();
  readonly #inner = new Cursor();

  readonly #id = new EventField("_id");
  readonly #ns = new EventField("ns");
  readonly #operation = new EventField("operationType");
  readonly #key = new EventField("documentKey");
  readonly #document = new EventField("fullDocument");
  readonly #update = new EventField("updateDescription");
  readonly #clusterTime = new EventField("clusterTime");
  readonly #copyTime = new EventField("copyTime");
  readonly #split = new EventField("splitEvent");
  readonly #fields = [
    this.#id,
    this.#ns,
    this.#operation,
    this.#key,
    this.#document,
    this.#update,
    this.#clusterTime,
    this.#copyTime,
    this.#split,
  ];

  readonly #namespaces = new Map<string, Namespace>();
  #lastNsBytes: Uint8Array = new Uint8Array(0);
  #lastNs: Namespace = NONE;

  readonly #words = new Uint32Array(2);
  readonly #time = new BigUint64Array(this.#words.buffer);
  #lastAt = 0n;
  #lastKind = "";

  constructor(options: EventOptions) {
    this.#nested = options.nested;
  }

  /** The event in `bytes`, a document with a sound frame, or one sentence that says why it is none. */
  read(bytes: Buffer): ChangeEvent | string {
    this.token = undefined;
    this.documentKey = undefined;
    for (const field of this.#fields) field.type = ABSENT;
    if (!this.#locate(bytes)) return `The record is damaged BSON: ${validate(bytes) ?? "its elements do not add up"}.`;
    if (this.#operation.type !== BsonType.string) return this.#notAnEvent();
    if (this.#split.type !== ABSENT) {
      return "The event is one fragment of a split event; take $changeStreamSplitLargeEvent out of the pipeline.";
    }
    const copied = this.#readId(bytes);
    const ns = this.#namespace(bytes);
    if (typeof ns === "string") return ns;
    if (this.#key.type === BsonType.object) this.documentKey = bytes.subarray(this.#key.start, this.#key.end);
    return this.#event(bytes, ns, copied);
  }

  #locate(bytes: Buffer): boolean {
    const cursor = this.#cursor;
    if (!cursor.open(bytes)) return false;
    while (cursor.next()) {
      switch (cursor.nameEnd - cursor.nameStart) {
        case 2:
          this.#ns.take(cursor);
          break;
        case 3:
          this.#id.take(cursor);
          break;
        case 8:
          this.#copyTime.take(cursor);
          break;
        case 10:
          this.#split.take(cursor);
          break;
        case 11:
          this.#key.take(cursor);
          this.#clusterTime.take(cursor);
          break;
        case 12:
          this.#document.take(cursor);
          break;
        case 13:
          this.#operation.take(cursor);
          break;
        case 17:
          this.#update.take(cursor);
          break;
        default:
      }
    }
    return !cursor.broken;
  }

  #notAnEvent(): string {
    if (this.#operation.type !== ABSENT) return "The event's operationType is not a string.";
    return "The record is a document without operationType, not a change event; set publish.full.document.only=false on the connector.";
  }

  /** Reads the event's own `_id`. True where it is the copy's marker. */
  #readId(bytes: Buffer): boolean {
    if (this.#id.type !== BsonType.object) return false;
    const inner = this.#inner;
    inner.open(bytes, this.#id.start);
    let copied = false;
    while (inner.next()) {
      if (inner.named(TOKEN_DATA) && inner.type === BsonType.string && this.token === undefined) {
        this.token = bytes.toString("latin1", inner.valueStart + 4, inner.valueEnd - 1);
      } else if (inner.named(COPYING)) copied = true;
    }
    return copied && this.token === undefined;
  }

  #namespace(bytes: Buffer): Namespace | string {
    const { start, end, type } = this.#ns;
    if (type !== BsonType.object) return "The event has no ns.";
    const last = this.#lastNsBytes;
    if (last.length === end - start) {
      let same = 0;
      while (same < last.length && last[same] === bytes[start + same]) same++;
      if (same === last.length) return this.#lastNs;
    }
    return this.#newNamespace(bytes, start, end);
  }

  #newNamespace(bytes: Buffer, start: number, end: number): Namespace | string {
    const raw = bytes.subarray(start, end);
    const spelled = raw.toString("latin1");
    let ns = this.#namespaces.get(spelled);
    if (ns === undefined) {
      const db = this.#text(raw, NAMESPACE_DB);
      if (db === undefined || db === "") return "The event's ns names no database.";
      ns = { db, coll: this.#text(raw, NAMESPACE_COLL) ?? "" };
      if (this.#namespaces.size >= MAX_NAMESPACES) this.#namespaces.clear();
      this.#namespaces.set(spelled, ns);
    }
    this.#lastNsBytes = Uint8Array.from(raw);
    this.#lastNs = ns;
    return ns;
  }

  #text(document: Buffer, name: Uint8Array): string | undefined {
    const inner = this.#inner;
    if (!inner.open(document) || !inner.seek(name) || inner.type !== BsonType.string) return undefined;
    return document.toString("utf8", inner.valueStart + 4, inner.valueEnd - 1);
  }

  #event(bytes: Buffer, ns: Namespace, copied: boolean): ChangeEvent | string {
    const kind = this.#kind(bytes);
    const at = this.#at(bytes, copied);
    const origin = copied ? "copy" : "stream";
    if (isDdl(kind)) {
      const flaw = this.#flaw(bytes, "event", 0, bytes.length);
      return flaw ?? { op: "ddl", kind, ns, at, origin, command: bytes };
    }
    if (kind !== "insert" && kind !== "update" && kind !== "replace" && kind !== "delete") {
      return `The operationType ${JSON.stringify(kind.slice(0, 80))} is unknown.`;
    }
    if (ns.coll === "") return "The event's ns names no collection.";
    const key = this.documentKey;
    if (key === undefined) return `The ${kind} has no documentKey.`;
    const flaw = this.#flaw(bytes, "documentKey", this.#key.start, this.#key.end);
    if (flaw !== undefined) return flaw;
    if (!this.#hasId(bytes, this.#key.start)) return "The documentKey has no _id.";
    if (kind === "delete") return { op: "delete", ns, at, origin, key };
    if (this.#document.type === BsonType.object) return this.#write(bytes, ns, at, origin, key, kind === "insert");
    if (kind !== "update") return `The ${kind} has no fullDocument.`;
    if (this.#document.type === BsonType.null) return { op: "noop", reason: "deleted-since", ns, at, origin, of: key };
    if (this.#document.type !== ABSENT) return "The update's fullDocument is not a document.";
    return this.#patch(bytes, ns, at, origin, key);
  }

  #write(
    bytes: Buffer,
    ns: Namespace,
    at: bigint,
    origin: "copy" | "stream",
    key: Uint8Array,
    fresh: boolean,
  ): ChangeEvent | string {
    const { start, end } = this.#document;
    const flaw = this.#flaw(bytes, "fullDocument", start, end);
    if (flaw !== undefined) return flaw;
    // Without _id the target would invent one, and a replay would insert the document again.
    if (!this.#hasId(bytes, start)) return "The fullDocument has no _id.";
    const doc = bytes.subarray(start, end);
    // Looked up by a collation that holds two spellings to be one: the event's own document is gone, and its delete follows.
    if (origin === "stream" && !isOf(doc, key)) return { op: "noop", reason: "deleted-since", ns, at, origin, of: key };
    return { op: "write", ns, at, origin, key, doc, fresh };
  }

  #patch(bytes: Buffer, ns: Namespace, at: bigint, origin: "copy" | "stream", key: Uint8Array): ChangeEvent | string {
    const { type, start, end } = this.#update;
    if (type !== BsonType.object) return "The update has neither fullDocument nor updateDescription.";
    const flaw = this.#flaw(bytes, "updateDescription", start, end);
    return flaw ?? { op: "patch", ns, at, origin, key, update: bytes.subarray(start, end) };
  }

  /** Records of one kind follow each other, and comparing some bytes is cheaper than making a string of them. */
  #kind(bytes: Buffer): string {
    const from = this.#operation.start + 4;
    const last = this.#lastKind;
    if (last.length === this.#operation.end - 1 - from) {
      let same = 0;
      while (same < last.length && last.charCodeAt(same) === bytes[from + same]) same++;
      if (same === last.length) return last;
    }
    this.#lastKind = bytes.toString("latin1", from, this.#operation.end - 1);
    return this.#lastKind;
  }

  #hasId(bytes: Buffer, start: number): boolean {
    const inner = this.#inner;
    return inner.open(bytes, start) && inner.seek(ID);
  }

  #flaw(bytes: Buffer, what: string, start: number, end: number): string | undefined {
    const flaw = flawWithin(bytes, start, end, this.#nested);
    return flaw === undefined ? undefined : `The ${what} is damaged BSON: ${flaw}.`;
  }

  /** clusterTime; where a pipeline dropped it, the time that the resume token begins with; 0 where neither is there. */
  #at(bytes: Buffer, copied: boolean): bigint {
    const field = copied ? this.#copyTime : this.#clusterTime;
    if (field.type === BsonType.timestamp) {
      return this.#time64(uint32At(bytes, field.start + 4), uint32At(bytes, field.start));
    }
    const token = this.token;
    if (token === undefined || !/^82[0-9a-f]{16}/i.test(token)) return 0n;
    return this.#time64(Number.parseInt(token.slice(2, 10), 16), Number.parseInt(token.slice(10, 18), 16));
  }

  /** One bigint per distinct time: all events of a copy, and of a transaction, share theirs. */
  #time64(high: number, low: number): bigint {
    const words = this.#words;
    if (words[1] !== high || words[0] !== low) {
      words[0] = low;
      words[1] = high;
      this.#lastAt = this.#time[0] as bigint;
    }
    return this.#lastAt;
  }
}
