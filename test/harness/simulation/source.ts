import { BSON, type Document, Int32, Timestamp } from "bson";
import { identityOf } from "#base/bson/identity.ts";
import type { LogRecord } from "#base/flow/types.ts";
import { CopiedRecord } from "#io/wire/captured.ts";
import { CopyRun } from "#io/wire/copyRun.ts";
import type { SourceStep } from "./schedule.ts";

export const NS = { db: "test", coll: "users" };

export type Fields = Readonly<Record<string, number | boolean | string>>;

/** What one record says. `set`: without the document, what it changes; `fields`: the document after it, undefined where it is gone. */
export type Meaning =
  | Readonly<{ is: "put"; identity: string; fields: Fields; isCopied: boolean; isNew: boolean }>
  | Readonly<{ is: "set"; identity: string; fields: Fields; set: Fields; isUnclear: boolean }>
  | Readonly<{ is: "delete"; identity: string; fields: undefined }>
  | Readonly<{ is: "drop" | "poison" | "nothing"; identity?: undefined }>;

export const keyOf = (key: number): Uint8Array => BSON.serialize({ _id: new Int32(key) });

const bsonOf = (fields: Fields): Document =>
  Object.fromEntries(
    Object.entries(fields).map(([name, one]) => [name, typeof one === "number" ? new Int32(one) : one]),
  );

const bson = (key: number, fields: Fields): Document => ({ _id: new Int32(key), ...bsonOf(fields) });

/** The same value as another type. */
const asType = (value: number, isText: boolean): number | string => (isText ? `text ${value}` : value);

const putBy = ({ value, bad, more, text = false }: SourceStep & { do: "put" }): Fields => ({
  a: asType(value, text),
  bad,
  ...(more ? { c: asType(value, text) } : {}),
});

const COPY_AT = 1n << 32n;

/** A source of one collection: makes records of what is done to it, and knows what each of them means. */
export class Source {
  /** By offset. */
  readonly meanings: Meaning[] = [];
  readonly #documents = new Map<number, Fields>();
  readonly #run = new CopyRun(NS, COPY_AT);
  #time = 100;
  #isSwitched = false;

  /** A document that was there before. */
  copied(key: number, isBad: boolean, hasMore: boolean, timestampMs: number): LogRecord & { offset: number } {
    const fields = { a: key, bad: isBad, ...(hasMore ? { c: key } : {}) };
    this.#documents.set(key, fields);
    this.#means({ is: "put", identity: identityOf(keyOf(key)), fields, isCopied: true, isNew: true });
    return new CopiedRecord(this.#run, BSON.serialize(bson(key, fields)), timestampMs);
  }

  #means(meaning: Meaning): void {
    // What is no event of the collection is looked at as ever.
    const isEvent = meaning.identity !== undefined || meaning.is === "drop";
    this.meanings.push(this.#isSwitched && isEvent ? { is: "nothing" } : meaning);
  }

  /** None of what follows is to be applied. @returns the time behind which it follows */
  switchOver(): bigint {
    this.#isSwitched = true;
    return (BigInt(this.#time) << 32n) | 1n;
  }

  get isSwitched(): boolean {
    return this.#isSwitched;
  }

  /** The documents of these keys as they are by now: it may have moved on since any event. */
  read(keys: readonly Uint8Array[]): readonly Uint8Array[] {
    return keys.flatMap((key) => {
      const id = BSON.deserialize(key)["_id"] as number;
      const fields = this.#documents.get(id);
      return fields === undefined ? [] : [BSON.serialize(bson(id, fields))];
    });
  }

  /** The value of a step's record; undefined where there is nothing to do. */
  step(step: SourceStep): Uint8Array | null | undefined {
    switch (step.do) {
      case "put":
        return this.put(step.key, putBy(step));
      case "set":
        return this.#set(step);
      case "delete":
        if (!this.#documents.delete(step.key)) return undefined;
        this.#means({ is: "delete", identity: identityOf(keyOf(step.key)), fields: undefined });
        return this.#event("delete", { documentKey: { _id: new Int32(step.key) } });
      case "drop":
        this.#documents.clear();
        this.#means({ is: "drop" });
        return this.#event("drop", {});
      case "poison":
        this.#means({ is: "poison" });
        return Buffer.from("no event");
      case "tombstone":
        this.#means({ is: "nothing" });
        return null;
    }
  }

  put(key: number, fields: Fields): Uint8Array {
    const isNew = !this.#documents.has(key);
    this.#documents.set(key, fields);
    this.#means({ is: "put", identity: identityOf(keyOf(key)), fields, isCopied: false, isNew });
    const documents = { documentKey: { _id: new Int32(key) }, fullDocument: bson(key, fields) };
    return this.#event(isNew ? "insert" : "replace", documents);
  }

  #set({ key, field, value, kind }: SourceStep & { do: "set" }): Uint8Array | undefined {
    const now = this.#documents.get(key);
    if (now === undefined) return undefined;
    const isUnclear = kind === "unclear";
    const set: Fields =
      kind === "bad" ? { bad: true } : { [isUnclear ? `$${field}` : field]: asType(value, kind === "text") };
    const fields = { ...now, ...set };
    this.#documents.set(key, fields);
    this.#means({ is: "set", identity: identityOf(keyOf(key)), fields, set, isUnclear });
    const updateDescription = { updatedFields: bsonOf(set), removedFields: [], truncatedArrays: [] };
    return this.#event("update", { documentKey: { _id: new Int32(key) }, updateDescription });
  }

  #event(operationType: string, more: Document): Uint8Array {
    this.#time++;
    const _data = this.#time.toString(16).padStart(8, "0");
    const clusterTime = new Timestamp({ t: this.#time, i: 1 });
    return BSON.serialize({ _id: { _data }, operationType, clusterTime, ns: NS, ...more });
  }
}
