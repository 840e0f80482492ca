import { BSON, type Document, Int32, Timestamp } from "bson";
import { identityOf } from "#base/bson/identity.ts";
import type { LogRecord } from "#base/flow/types.ts";
import { CopiedRecord } from "#io/wire/captured.ts";
import { CopyRun } from "#io/wire/copyRun.ts";
import type { SourceStep } from "./schedule.ts";

export const NS = { db: "test", coll: "users" };

type Fields = Readonly<Record<string, number | boolean>>;

/** What one record means, for the model. `isUnclear`, `isBad`: why it may stand in the dead letters. */
export type Meaning = Readonly<{
  identity: string | undefined;
  /** The document after it; undefined where it is gone, and for what is no change of a document. */
  change: ((now: Fields | undefined) => Fields | undefined) | undefined;
  isDrop: boolean;
  /** Can it be applied only once an operator has acted, or never? */
  mayBeDead: boolean;
  isHopeless: boolean;
}>;

const NOTHING: Meaning = { identity: undefined, change: undefined, isDrop: false, mayBeDead: false, isHopeless: false };

export const keyOf = (key: number): Uint8Array => BSON.serialize({ _id: new Int32(key) });

const bson = (key: number, fields: Fields): Document => ({
  _id: new Int32(key),
  ...Object.fromEntries(
    Object.entries(fields).map(([name, one]) => [name, typeof one === "number" ? new Int32(one) : one]),
  ),
});

export const documentOf = (key: number, fields: Fields): Uint8Array => BSON.serialize(bson(key, fields));

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
  copied(key: number, isBad: boolean, timestampMs: number): LogRecord & { offset: number } {
    const fields = { a: key, bad: isBad };
    this.#documents.set(key, fields);
    this.#means({ key, change: () => fields, mayBeDead: isBad });
    return new CopiedRecord(this.#run, documentOf(key, fields), timestampMs);
  }

  #means({ key, ...more }: Partial<Meaning> & { key?: number }): void {
    // What is no event of the collection is looked at as ever.
    if (this.#isSwitched && (key !== undefined || more.isDrop === true)) {
      this.meanings.push(NOTHING);
      return;
    }
    const identity = key === undefined ? undefined : identityOf(keyOf(key));
    this.meanings.push({ ...NOTHING, identity, ...more });
  }

  /** None of what follows is to be applied. @returns the time behind which it follows */
  switchOver(): bigint {
    this.#isSwitched = true;
    return (BigInt(this.#time) << 32n) | 1n;
  }

  /** The record of a step; undefined where there is nothing to do. */
  step(step: SourceStep, timestampMs: number): (LogRecord & { offset: number }) | undefined {
    const value = this.#value(step);
    return value === undefined ? undefined : { key: null, value: value ?? null, offset: 0, timestampMs };
  }

  #value(step: SourceStep): Uint8Array | null | undefined {
    switch (step.do) {
      case "put":
        return this.#put(step.key, { a: step.value, bad: step.bad });
      case "set":
        return this.#set(step);
      case "delete":
        if (!this.#documents.delete(step.key)) return undefined;
        this.#means({ key: step.key, change: () => undefined });
        return this.#event("delete", { documentKey: { _id: new Int32(step.key) } });
      case "drop":
        this.#documents.clear();
        this.#means({ isDrop: true });
        return this.#event("drop", {});
      case "poison":
        this.#means({ mayBeDead: true, isHopeless: true });
        return Buffer.from("no event");
      case "tombstone":
        this.#means({});
        return null;
    }
  }

  #put(key: number, fields: Fields): Uint8Array {
    const operation = this.#documents.has(key) ? "replace" : "insert";
    this.#documents.set(key, fields);
    this.#means({ key, change: () => fields, mayBeDead: fields["bad"] === true });
    return this.#event(operation, { documentKey: { _id: new Int32(key) }, fullDocument: bson(key, fields) });
  }

  #set({ key, field, value, kind }: SourceStep & { do: "set" }): Uint8Array | undefined {
    const now = this.#documents.get(key);
    if (now === undefined) return undefined;
    const set: Fields = kind === "bad" ? { bad: true } : { [kind === "unclear" ? `$${field}` : field]: value };
    const change = (document: Fields | undefined): Fields | undefined => document && { ...document, ...set };
    this.#documents.set(key, change(now) ?? now);
    const isUnclear = kind === "unclear";
    this.#means({ key, change, mayBeDead: kind !== "clear", isHopeless: isUnclear });
    const updatedFields = Object.fromEntries(
      Object.entries(set).map(([name, one]) => [name, typeof one === "number" ? new Int32(one) : one]),
    );
    const updateDescription = { updatedFields, removedFields: [], truncatedArrays: [] };
    return this.#event("update", { documentKey: { _id: new Int32(key) }, updateDescription });
  }

  #event(operationType: string, more: Document): Uint8Array {
    this.#time++;
    const _data = this.#time.toString(16).padStart(8, "0");
    const clusterTime = new Timestamp({ t: this.#time, i: 1 });
    return BSON.serialize({ _id: { _data }, operationType, clusterTime, ns: NS, ...more });
  }
}

/** What the documents are after these records, those left out that are not applied. */
export const foldOf = (
  meanings: readonly Meaning[],
  isLeftOut: (offset: number, identity: string) => boolean,
): ReadonlyMap<string, Fields> => {
  const documents = new Map<string, Fields>();
  for (const [offset, { identity, change, isDrop }] of meanings.entries()) {
    if (isDrop) documents.clear();
    if (identity === undefined || change === undefined || isLeftOut(offset, identity)) continue;
    const next = change(documents.get(identity));
    if (next === undefined) documents.delete(identity);
    else documents.set(identity, next);
  }
  return documents;
};
