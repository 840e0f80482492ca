import { nameBytes, nameText } from "#base/bson/nameText.ts";
import { BsonType, Cursor } from "#base/bson/walk.ts";
import { typeName } from "./typeNames.ts";

/** A field that was unknown, or a known field with another type. */
export type DriftKind = "field" | "type";

/** What an operator or a policy wants of a path, or of one of its types; `open` until it has been judged. */
export type Verdict = "open" | "pass" | "drop" | "hold" | "stop";

/** One type of one path. */
export class TypeEntry {
  readonly path: string;
  readonly type: string;
  readonly kind: DriftKind;
  verdict: Verdict = "open";
  /** Part of what was there when the route began: no news. */
  baseline = false;
  /** Is it in the ledger, as far as this partition goes? What is new is written with the batch that has it. */
  stored = false;
  /** The ledger had it when this observer began, from this partition or another. */
  isKnown = false;
  /** Documents and elements since it was last written to the ledger. */
  count = 0;
  /** clusterTime and offset of the first and the last event that had it, as seen here; offset −1 where none was. */
  firstAt = 0n;
  firstOffset = -1;
  lastAt = 0n;
  lastOffset = -1;
  /** Raw document that had it first, until it is written. */
  example: Uint8Array | undefined;

  constructor(path: string, type: string, kind: DriftKind) {
    this.path = path;
    this.type = type;
    this.kind = kind;
  }
}

/** What one entry saw since it was last written to the ledger. */
export type Change = Readonly<{ entry: TypeEntry; count: number }>;

/** One name below its parent. */
class Field {
  readonly name: Buffer;
  readonly path: string;
  /** By type byte. */
  readonly types: (TypeEntry | undefined)[] = [];
  known = 0;
  /** The field that came after this one last time: documents of one kind have their names in one order. */
  next: Field | undefined;
  /** Fields of its documents, alone or in an array. */
  level: Level | undefined;
  /** What its arrays hold. */
  elements: Field | undefined;

  constructor(name: Buffer, path: string) {
    this.name = name;
    this.path = path;
  }
}

class Level {
  readonly prefix: string;
  readonly fields: Field[] = [];
  first: Field | undefined;

  constructor(prefix: string) {
    this.prefix = prefix;
  }

  find(cursor: Cursor): Field | undefined {
    for (const field of this.fields) if (cursor.named(field.name)) return field;
    return undefined;
  }

  add(name: Buffer): Field {
    const text = nameText(name);
    const field = new Field(name, this.prefix === "" ? text : `${this.prefix}.${text}`);
    this.fields.push(field);
    return field;
  }
}

/** Names at one place beyond which documents are taken for maps with keys of their own: one entry stands for the rest. */
const MAX_NAMES = 500;
export const MANY_NAMES = "*";
const MANY = Buffer.from(MANY_NAMES);

/**
 * Knows every path of the documents that pass and the types found there. Exact and cheap: names are compared as bytes with
 * the one that came next last time, nothing is decoded, and nothing is allocated for what is known. `orders.sku` is the
 * field of documents in the array `orders`, `orders[]` what the array holds.
 */
export class DriftObserver {
  readonly #root = new Level("");
  readonly #depth: number;
  readonly #cursors: Cursor[] = [];
  readonly #entries = new Map<string, TypeEntry>();
  #flagged: TypeEntry[] = [];
  #novel = false;
  #isAgain = false;
  #at = 0n;
  #offset = 0;

  /** @param depth levels of nesting to look at; 1 is the top level */
  constructor(depth: number) {
    this.#depth = depth;
  }

  /** Are there counts that the ledger does not have, of what it knows? */
  get hasCounts(): boolean {
    return this.#entries.values().some(isCounted);
  }

  /** Entries known. */
  get size(): number {
    return this.#entries.size;
  }

  /** Makes a path and type known, as the ledger has them. */
  know(path: string, type: number, kind: DriftKind): TypeEntry {
    const entry = this.entry(path, typeName(type)) ?? this.#entry(this.#fieldAt(path), type, kind);
    entry.isKnown = true;
    return entry;
  }

  entry(path: string, type: string): TypeEntry | undefined {
    return this.#entries.get(`${path}\0${type}`);
  }

  /** Paths that were let through with one of their types at least, or have not been judged. */
  *carried(): Generator<string> {
    for (const { path, verdict } of this.#entries.values()) if (verdict !== "drop") yield path;
  }

  /** All types of a path. */
  entriesOf(path: string): readonly TypeEntry[] {
    return [...this.#entries.values()].filter((entry) => entry.path === path);
  }

  /**
   * Looks at one document. Answers with its entries that are not simply to be passed: new ones (`open`), and those that
   * something is wanted of. The list is empty, and shared, where there is nothing to say.
   * @param isAgain it was counted before, and counts only for what the ledger does not have
   */
  observe(doc: Uint8Array, at: bigint, offset: number, isAgain = false): readonly TypeEntry[] {
    if (this.#flagged.length > 0) this.#flagged = [];
    this.#novel = false;
    this.#isAgain = isAgain;
    this.#at = at;
    this.#offset = offset;
    this.#document(doc, 0, this.#root, 0);
    if (this.#novel) for (const entry of this.#flagged) if (entry.verdict === "open") entry.example ??= doc;
    return this.#flagged;
  }

  /**
   * Counts of what the ledger knows, to be added to it; counting restarts. What it does not know comes with the batch that has it:
   * another lane's commit must not count a document that is read again after a crash.
   */
  takeCounts(): readonly Change[] {
    return [...this.#entries.values()].filter(isCounted).map(takeCount);
  }

  #fieldAt(path: string): Field {
    let level = this.#root;
    let field: Field | undefined;
    for (const part of path.split(".")) {
      const plain = part.replace(/(\[\])+$/, "");
      const name = nameBytes(plain);
      field = level.fields.find((one) => one.name.equals(name)) ?? level.add(name);
      for (let nested = part.length - plain.length; nested > 0; nested -= 2) field = elementsOf(field);
      level = levelOf(field);
    }
    return field as Field;
  }

  #entry(field: Field, type: number, kind?: DriftKind): TypeEntry {
    const entry = new TypeEntry(field.path, typeName(type), kind ?? (field.known === 0 ? "field" : "type"));
    field.types[type] = entry;
    field.known++;
    this.#entries.set(`${entry.path}\0${entry.type}`, entry);
    return entry;
  }

  /** One per level of nesting, because a level continues where its inner ones ended. */
  #cursor(depth: number): Cursor {
    const cursor = this.#cursors[depth] ?? new Cursor();
    this.#cursors[depth] = cursor;
    return cursor;
  }

  #document(doc: Uint8Array, start: number, level: Level, depth: number): void {
    const cursor = this.#cursor(depth);
    cursor.open(doc, start);
    let expected = level.first;
    let previous: Field | undefined;
    while (cursor.next()) {
      let field = expected;
      if (field === undefined || !cursor.named(field.name)) {
        field = level.find(cursor) ?? this.#newField(level, doc, cursor);
        if (previous === undefined) level.first = field;
        else previous.next = field;
      }
      this.#value(doc, cursor, field, depth);
      previous = field;
      expected = field.next;
    }
  }

  #newField(level: Level, doc: Uint8Array, cursor: Cursor): Field {
    if (level.fields.length < MAX_NAMES) return level.add(Buffer.from(doc.subarray(cursor.nameStart, cursor.nameEnd)));
    return level.fields.find(({ name }) => name.equals(MANY)) ?? level.add(MANY);
  }

  #value(doc: Uint8Array, cursor: Cursor, field: Field, depth: number): void {
    const { type, valueStart } = cursor;
    let entry = field.types[type];
    if (entry === undefined) {
      entry = this.#entry(field, type);
      this.#novel = true;
    }
    if (entry.verdict !== "pass") this.#flagged.push(entry);
    if (!this.#isAgain || !entry.stored) this.#count(entry);
    if (depth + 1 >= this.#depth) return;
    if (type === BsonType.object) this.#document(doc, valueStart, levelOf(field), depth + 1);
    else if (type === BsonType.array) this.#array(doc, valueStart, elementsOf(field), depth + 1);
  }

  #count(entry: TypeEntry): void {
    entry.count++;
    if (entry.firstOffset === -1) {
      entry.firstAt = this.#at;
      entry.firstOffset = this.#offset;
    }
    entry.lastAt = this.#at;
    entry.lastOffset = this.#offset;
  }

  #array(doc: Uint8Array, start: number, elements: Field, depth: number): void {
    const cursor = this.#cursor(depth);
    cursor.open(doc, start);
    while (cursor.next()) this.#value(doc, cursor, elements, depth);
  }
}

/** Does it have a count that any batch may take along? */
const isCounted = ({ stored, isKnown, count }: TypeEntry): boolean => (stored || isKnown) && count > 0;

/** What one entry saw since it was last written; counting restarts. */
export const takeCount = (entry: TypeEntry): Change => {
  const { count } = entry;
  entry.count = 0;
  return { entry, count };
};

const levelOf = (field: Field): Level => {
  field.level ??= new Level(field.path.replaceAll("[]", ""));
  return field.level;
};

/** Documents in an array have the fields that the same place would have without one. */
const elementsOf = (field: Field): Field => {
  if (field.elements === undefined) {
    field.elements = new Field(Buffer.alloc(0), `${field.path}[]`);
    field.elements.level = levelOf(field);
  }
  return field.elements;
};
