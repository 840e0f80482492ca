import { nameText } from "#base/bson/nameText.ts";
import { BsonType, Cursor } from "#base/bson/walk.ts";
import { BsonWriter } from "#base/bson/writer.ts";

/**
 * Does the source send a field of this path (dotted, as it is called on the target)? A field that it sends is the source's
 * in every document, also in one where it leaves it out.
 */
export type IsSource = (path: string) => boolean;

type ElementSpan = Readonly<{ type: number; name: string; from: number; start: number; end: number }>;

const elementsOf = (bytes: Uint8Array, start: number): ElementSpan[] => {
  const cursor = new Cursor();
  const found: ElementSpan[] = [];
  if (!cursor.open(bytes, start)) return found;
  while (cursor.next())
    found.push({
      type: cursor.type,
      name: nameText(bytes, cursor.nameStart, cursor.nameEnd),
      from: cursor.nameStart - 1,
      start: cursor.valueStart,
      end: cursor.valueEnd,
    });
  return found;
};

const pathOf = (prefix: string, name: string): string => (prefix === "" ? name : `${prefix}.${name}`);

/** Writes what is the target's own of a document's elements that the source's document does not have. */
const keepOwn = (
  writer: BsonWriter,
  target: Uint8Array,
  elements: readonly ElementSpan[],
  prefix: string,
  isSource: IsSource,
): void => {
  for (const element of elements) {
    const path = pathOf(prefix, element.name);
    if (path === "_id") continue;
    if (!isSource(path)) writer.raw(target, element.from, element.end);
    else if (element.type === BsonType.object) {
      const inner = elementsOf(target, element.start);
      const mark = writer.length;
      writer.raw(target, element.from, element.start);
      const open = writer.open();
      keepOwn(writer, target, inner, path, isSource);
      if (writer.length === open + 4)
        writer.length = mark; // nothing of it is the target's
      else writer.close(open);
    }
  }
};

const mergeInto = (
  writer: BsonWriter,
  [target, targetStart]: readonly [Uint8Array, number],
  [source, sourceStart]: readonly [Uint8Array, number],
  prefix: string,
  isSource: IsSource,
): void => {
  const own = new Map(elementsOf(target, targetStart).map((element) => [element.name, element]));
  const open = writer.open();
  for (const element of elementsOf(source, sourceStart)) {
    const theirs = own.get(element.name);
    own.delete(element.name);
    const path = pathOf(prefix, element.name);
    const both = element.type === BsonType.object && theirs?.type === BsonType.object && path !== "_id";
    if (!both) writer.raw(source, element.from, element.end);
    else {
      writer.raw(source, element.from, element.start);
      mergeInto(writer, [target, theirs.start], [source, element.start], path, isSource);
    }
  }
  keepOwn(writer, target, [...own.values()], prefix, isSource);
  writer.close(open);
};

/**
 * The source's document with what is the target's own: the source's fields in its order, then fields of the target's document
 * that the source never sends, in theirs. Embedded documents are merged likewise; arrays are values. Without fields of the
 * target's own the answer has the source's bytes.
 */
export const merge = (target: Uint8Array, source: Uint8Array, isSource: IsSource): Uint8Array => {
  const writer = new BsonWriter(target.length + source.length);
  mergeInto(writer, [target, 0], [source, 0], "", isSource);
  return writer.take();
};

/** What stays of the target's document when the source deletes its own: `_id` and the target's own fields; undefined where there are none. */
export const remainder = (target: Uint8Array, isSource: IsSource): Uint8Array | undefined => {
  const writer = new BsonWriter(target.length);
  const elements = elementsOf(target, 0);
  const open = writer.open();
  const id = elements.find(({ name }) => name === "_id");
  if (id !== undefined) writer.raw(target, id.from, id.end);
  const withoutOwn = writer.length;
  keepOwn(writer, target, elements, "", isSource);
  if (writer.length === withoutOwn) return undefined;
  writer.close(open);
  return writer.take();
};

const sameValue = (
  one: Uint8Array,
  a: ElementSpan | undefined,
  other: Uint8Array,
  b: ElementSpan | undefined,
): boolean => {
  if (a === undefined || b === undefined) return a === b;
  return a.type === b.type && Buffer.compare(one.subarray(a.start, a.end), other.subarray(b.start, b.end)) === 0;
};

/** Names of a document's top-level fields. */
export const topLevelNames = (bytes: Uint8Array): string[] => elementsOf(bytes, 0).map(({ name }) => name);

/** Top-level fields whose values differ, or that only one of the two has. */
export const differing = (one: Uint8Array, other: Uint8Array): string[] =>
  [...new Set([...topLevelNames(one), ...topLevelNames(other)])].filter((name) => differsAt(one, other, name));

/** Do two documents differ in what they have at a path? An array is one value: what lies in it differs where it differs. */
export const differsAt = (one: Uint8Array, other: Uint8Array, path: string): boolean =>
  !sameValue(one, elementAt(one, 0, path), other, elementAt(other, 0, path));

/** The element of a dotted path; names may have dots of their own. */
const elementAt = (bytes: Uint8Array, start: number, path: string): ElementSpan | undefined => {
  for (const element of elementsOf(bytes, start)) {
    const { name, type } = element;
    if (name === path) return element;
    if (!path.startsWith(`${name}.`)) continue;
    if (type === BsonType.array) return element;
    const inner = type === BsonType.object ? elementAt(bytes, element.start, path.slice(name.length + 1)) : undefined;
    if (inner !== undefined) return inner;
  }
  return undefined;
};
