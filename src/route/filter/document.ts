import { BsonType, Cursor } from "#base/bson/walk.ts";
import { BsonWriter } from "#base/bson/writer.ts";
import { isWhole, type Rule, unlisted } from "./rules.ts";

const isCopied = (rule: Rule): boolean => rule.name === undefined && isWhole(rule);

/** Is the value a document or an array? */
export const holdsNames = (type: number): boolean => type === BsonType.object || type === BsonType.array;

/**
 * Copies the wanted elements of raw documents. Nothing is decoded: what is kept whole is copied as a run of bytes, and only
 * masked values are created. Reuse one instance; it is not reentrant.
 */
export class DocumentFilter {
  readonly #root: Rule;
  readonly #writer = new BsonWriter(16 * 1024);
  /** One per level of nesting, because a level continues where its inner ones ended. */
  readonly #cursors: Cursor[] = [];

  constructor(root: Rule) {
    this.#root = root;
  }

  /** The filtered document, as bytes of its own. `doc` is validated BSON. */
  apply(doc: Uint8Array): Uint8Array {
    this.#writer.reset();
    this.#document(doc, 0, this.#root, 0);
    return this.#writer.take();
  }

  /**
   * One element under another name, as a document of its own (`{ name: value }`), or undefined where it is left out.
   * `inArray`: it stands in an array, where leaving out would move the others: null stands for it.
   */
  element(
    bytes: Uint8Array,
    type: number,
    start: number,
    end: number,
    name: string,
    rule: Rule,
    inArray: boolean,
  ): Uint8Array | undefined {
    this.#writer.reset();
    const open = this.#writer.open();
    const label = Buffer.from(name);
    if (!this.#element(bytes, type, label, 0, label.length, start, end, rule, inArray, 0)) return undefined;
    this.#writer.close(open);
    return this.#writer.take();
  }

  #cursor(depth: number): Cursor {
    const cursor = this.#cursors[depth] ?? new Cursor();
    this.#cursors[depth] = cursor;
    return cursor;
  }

  #document(bytes: Uint8Array, start: number, rule: Rule, depth: number): void {
    const writer = this.#writer;
    const cursor = this.#cursor(depth);
    const { children } = rule;
    const copied = rule.rest && rule.mask === undefined;
    const open = writer.open();
    let from = -1; // where a run of elements to be copied begins
    let to = -1;
    cursor.open(bytes, start);
    while (cursor.next()) {
      const own = children?.find(bytes, cursor.nameStart, cursor.nameEnd);
      if (own === undefined ? copied : isCopied(own)) {
        if (from === -1) from = cursor.nameStart - 1;
        to = cursor.valueEnd;
        continue;
      }
      if (from !== -1) writer.raw(bytes, from, to);
      from = -1;
      this.#ruled(bytes, cursor, own ?? rule, own === undefined, depth);
    }
    if (from !== -1) writer.raw(bytes, from, to);
    writer.close(open);
  }

  /** An element that cannot be copied as it is, by its own rule or by the one of names that have none. */
  #ruled(bytes: Uint8Array, cursor: Cursor, rule: Rule, isUnlisted: boolean, depth: number): void {
    if (isUnlisted ? !rule.rest : rule.drop) return;
    const own = isUnlisted ? unlisted(rule) : rule;
    const { name } = own;
    const { type, nameStart, nameEnd, valueStart, valueEnd } = cursor;
    if (name === undefined)
      this.#element(bytes, type, bytes, nameStart, nameEnd, valueStart, valueEnd, own, false, depth);
    else this.#element(bytes, type, name, 0, name.length, valueStart, valueEnd, own, false, depth);
  }

  /** Writes one element; false where it is left out. */
  #element(
    bytes: Uint8Array,
    type: number,
    name: Uint8Array,
    nameStart: number,
    nameEnd: number,
    start: number,
    end: number,
    rule: Rule,
    inArray: boolean,
    depth: number,
  ): boolean {
    const writer = this.#writer;
    const head = (as: number): void => {
      writer.byte(as);
      writer.raw(name, nameStart, nameEnd);
      writer.byte(0);
    };
    if (isWhole(rule)) {
      head(type);
      writer.raw(bytes, start, end);
    } else if (holdsNames(type)) {
      head(type);
      if (type === BsonType.array) this.#array(bytes, start, rule, depth + 1);
      else this.#document(bytes, start, rule, depth + 1);
    } else if (!rule.rest) {
      if (!inArray) return false;
      head(BsonType.null);
    } else this.#scalar(bytes, type, start, end, rule, head);
    return true;
  }

  #scalar(
    bytes: Uint8Array,
    type: number,
    start: number,
    end: number,
    { mask }: Rule,
    head: (as: number) => void,
  ): void {
    const writer = this.#writer;
    const text = mask?.(bytes, type, start, end);
    if (text === undefined) {
      head(type);
      writer.raw(bytes, start, end);
      return;
    }
    head(BsonType.string);
    const at = writer.length;
    writer.rawInt32(0);
    writer.text(text);
    writer.byte(0);
    writer.putInt32(at, writer.length - at - 4);
  }

  /** Rules go through arrays: each element is treated as the array itself. */
  #array(bytes: Uint8Array, start: number, rule: Rule, depth: number): void {
    const cursor = this.#cursor(depth);
    const open = this.#writer.open();
    cursor.open(bytes, start);
    while (cursor.next()) {
      const { type, nameStart, nameEnd, valueStart, valueEnd } = cursor;
      this.#element(bytes, type, bytes, nameStart, nameEnd, valueStart, valueEnd, rule, true, depth);
    }
    this.#writer.close(open);
  }
}
