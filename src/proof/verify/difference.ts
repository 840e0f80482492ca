import { canonicalValue } from "#base/bson/identity.ts";
import { BsonType, Cursor } from "#base/bson/walk.ts";

/**
 * How two documents of one `_id` differ, worst first: a field has another value or is there on one side only; a number has another
 * BSON type and the same value; the same fields stand in another order.
 */
export type DifferenceKind = "value" | "number-type" | "field-order";

/** `path`: dotted, of the first place where they differ in the worst way; empty where it is the document itself. */
export type Difference = Readonly<{ kind: DifferenceKind; path: string }>;

type FieldSpan = Readonly<{ name: string; type: number; start: number; end: number }>;

const RANK: Readonly<Record<DifferenceKind, number>> = { "field-order": 1, "number-type": 2, value: 3 };

const worse = (a: Difference | undefined, b: Difference | undefined): Difference | undefined => {
  if (a === undefined || b === undefined) return a ?? b;
  return RANK[b.kind] > RANK[a.kind] ? b : a;
};

const fieldsOf = (bytes: Uint8Array, start: number): readonly FieldSpan[] => {
  const cursor = new Cursor();
  const fields: FieldSpan[] = [];
  cursor.open(bytes, start);
  while (cursor.next()) {
    const { type, nameStart, nameEnd, valueStart, valueEnd } = cursor;
    // latin1: a name that is not UTF-8 still equals itself and nothing else
    const name = Buffer.from(bytes.buffer, bytes.byteOffset + nameStart, nameEnd - nameStart).toString("latin1");
    fields.push({ name, type, start: valueStart, end: valueEnd });
  }
  return fields;
};

const sameBytes = (a: Uint8Array, x: FieldSpan, b: Uint8Array, y: FieldSpan): boolean =>
  x.type === y.type && Buffer.compare(a.subarray(x.start, x.end), b.subarray(y.start, y.end)) === 0;

const NUMBERS: ReadonlySet<number> = new Set([
  BsonType.double,
  BsonType.int32,
  BsonType.int64,
  BsonType.decimal128,
] as number[]);

const display = (name: string): string => Buffer.from(name, "latin1").toString("utf8");

const fieldDifference = (
  a: Uint8Array,
  x: FieldSpan,
  b: Uint8Array,
  y: FieldSpan,
  path: string,
): Difference | undefined => {
  if (sameBytes(a, x, b, y)) return undefined;
  const isNested = x.type === y.type && (x.type === BsonType.object || x.type === BsonType.array);
  if (isNested) return within(a, x.start, b, y.start, path);
  const isNumber = NUMBERS.has(x.type) && NUMBERS.has(y.type) && x.type !== y.type;
  if (isNumber && canonicalValue(a, x.type, x.start, x.end) === canonicalValue(b, y.type, y.start, y.end))
    return { kind: "number-type", path };
  return { kind: "value", path };
};

/** Fields by name, in their order: a document may have a name twice, and then the second meets the second. */
const byName = (fields: readonly FieldSpan[]): Map<string, FieldSpan[]> => {
  const found = new Map<string, FieldSpan[]>();
  for (const field of fields) {
    const list = found.get(field.name);
    if (list === undefined) found.set(field.name, [field]);
    else list.push(field);
  }
  return found;
};

const within = (a: Uint8Array, startA: number, b: Uint8Array, startB: number, path: string): Difference | undefined => {
  const [expected, actual] = [fieldsOf(a, startA), fieldsOf(b, startB)];
  const others = byName(actual);
  let found: Difference | undefined;
  for (const field of expected) {
    const at = path === "" ? display(field.name) : `${path}.${display(field.name)}`;
    const other = others.get(field.name)?.shift();
    found = worse(found, other === undefined ? { kind: "value", path: at } : fieldDifference(a, field, b, other, at));
  }
  const [extra] = [...others.values()].flat();
  if (extra !== undefined)
    found = worse(found, { kind: "value", path: path === "" ? display(extra.name) : `${path}.${display(extra.name)}` });
  if (found !== undefined) return found;
  const moved = expected.find(({ name }, i) => name !== actual[i]?.name);
  return moved === undefined ? undefined : { kind: "field-order", path };
};

/**
 * Tells how two documents differ; undefined where they are equal byte for byte. Both are validated raw BSON. Array elements are
 * compared by position.
 */
export const differenceOf = (expected: Uint8Array, actual: Uint8Array): Difference | undefined =>
  Buffer.compare(expected, actual) === 0
    ? undefined
    : (within(expected, 0, actual, 0, "") ?? { kind: "value", path: "" });
