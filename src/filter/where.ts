/**
 * A route's row filter: the part of MongoDB's query language that can be answered from one document without a server.
 * Equality is the server's (1 equals 1.0, names and order of subdocuments count), order holds within one kind of value.
 * Source: MongoDB manual, "Query and Projection Operators", "Comparison/Sort Order".
 */
import { BSON, type Document } from "bson";
import { readDecimal } from "#bson/decimal.ts";
import { canonicalValue } from "#bson/identity.ts";
import { BsonType, Cursor, int32At, uint32At } from "#bson/walk.ts";
import { FerryError } from "#errors/ferryError.ts";

/** Does the document belong to the route? */
export type Where = (doc: Uint8Array) => boolean;

/** A value where it lies; undefined stands for a field that is not there. */
type Value = Readonly<{ bytes: Uint8Array; type: number; start: number; end: number }> | undefined;
type Test = (value: Value) => boolean;

const refuse = (sentence: string): never => {
  throw new FerryError("FERRY_CONFIG", `where: ${sentence}`);
};

const sameForm = (value: Value): string =>
  value === undefined ? `t${BsonType.null}.0:` : canonicalValue(value.bytes, value.type, value.start, value.end);

/** A constant of the configuration as BSON; extended JSON is understood, for dates and ids. */
const constant = (given: unknown): NonNullable<Value> => {
  const bytes = BSON.serialize(BSON.EJSON.deserialize({ v: given } as Document, { relaxed: true }));
  const cursor = new Cursor();
  cursor.open(bytes);
  cursor.next();
  return { bytes, type: cursor.type, start: cursor.valueStart, end: cursor.valueEnd };
};

type Ordered = Readonly<{ kind: string; is: number | bigint | Buffer }>;

const buffer = ({ bytes, start, end }: NonNullable<Value>, skip = 0, drop = 0): Buffer =>
  Buffer.from(bytes.buffer, bytes.byteOffset + start + skip, end - start - skip - drop);

const decimal = (value: NonNullable<Value>): number => {
  const read = readDecimal(value.bytes, value.start);
  if (read.kind === "nan") return Number.NaN;
  if (read.kind === "infinity") return read.negative ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  return Number(`${read.negative ? "-" : ""}${read.coefficient}e${read.exponent}`);
};

/** What `$gt` and its like compare; undefined for kinds that have no order here. */
const orderedForm = (value: NonNullable<Value>): Ordered | undefined => {
  switch (value.type) {
    case BsonType.int32:
      return { kind: "number", is: int32At(value.bytes, value.start) };
    case BsonType.int64:
      return { kind: "number", is: buffer(value).readBigInt64LE() };
    case BsonType.double:
      return { kind: "number", is: buffer(value).readDoubleLE() };
    case BsonType.decimal128:
      return { kind: "number", is: decimal(value) };
    case BsonType.string:
    case BsonType.symbol:
      return { kind: "string", is: buffer(value, 4, 1) };
    case BsonType.date:
      return { kind: "date", is: buffer(value).readBigInt64LE() };
    case BsonType.boolean:
      return { kind: "boolean", is: value.bytes[value.start] as number };
    case BsonType.objectId:
      return { kind: "objectId", is: buffer(value) };
    case BsonType.timestamp:
      return {
        kind: "timestamp",
        is: (BigInt(uint32At(value.bytes, value.start + 4)) << 32n) | BigInt(uint32At(value.bytes, value.start)),
      };
    default:
      return undefined;
  }
};

const compare = (a: Ordered, b: Ordered): number => {
  if (Buffer.isBuffer(a.is) && Buffer.isBuffer(b.is)) return Buffer.compare(a.is, b.is);
  if (a.is < b.is) return -1;
  if (a.is > b.is) return 1;
  return 0;
};

const isNaNValue = ({ is }: Ordered): boolean => Number.isNaN(is);

const ordering =
  (given: unknown, holds: (order: number) => boolean): Test =>
  (value) => {
    const limit = orderedForm(constant(given));
    const found = value === undefined ? undefined : orderedForm(value);
    if (limit === undefined || found === undefined || limit.kind !== found.kind) return false;
    if (isNaNValue(limit) || isNaNValue(found)) return false;
    return holds(compare(found, limit));
  };

const orderTest = (name: string, given: unknown, holds: (order: number) => boolean): Test => {
  if (orderedForm(constant(given)) === undefined)
    refuse(`${name} needs a number, string, date, id, boolean or timestamp`);
  return ordering(given, holds);
};

const among = (given: unknown, name: string): Test => {
  if (!Array.isArray(given)) return refuse(`${name} needs a list`);
  const forms = new Set(given.map((item) => sameForm(constant(item))));
  return (value) => forms.has(sameForm(value));
};

const equal = (given: unknown): Test => {
  const form = sameForm(constant(given));
  return (value) => sameForm(value) === form;
};

/** Positive tests of one value. A list matches where the list itself or one of its elements does. */
const TESTS: Readonly<Record<string, (given: unknown) => Test>> = {
  $eq: equal,
  $in: (given) => among(given, "$in"),
  $gt: (given) => orderTest("$gt", given, (order) => order > 0),
  $gte: (given) => orderTest("$gte", given, (order) => order >= 0),
  $lt: (given) => orderTest("$lt", given, (order) => order < 0),
  $lte: (given) => orderTest("$lte", given, (order) => order <= 0),
};

/** Calls back with each value that a path leads to, through arrays of documents; stops at the first true. */
const some = (bytes: Uint8Array, start: number, path: readonly Uint8Array[], depth: number, test: Test): boolean => {
  const name = path[depth];
  const cursor = new Cursor();
  cursor.open(bytes, start);
  if (name === undefined || !cursor.seek(name)) return test(undefined);
  const { type, valueStart, valueEnd } = cursor;
  if (depth === path.length - 1) return someOf({ bytes, type, start: valueStart, end: valueEnd }, test);
  if (type === BsonType.object) return some(bytes, valueStart, path, depth + 1, test);
  if (type !== BsonType.array) return test(undefined);
  const elements = new Cursor();
  elements.open(bytes, valueStart);
  while (elements.next())
    if (elements.type === BsonType.object && some(bytes, elements.valueStart, path, depth + 1, test)) return true;
  return false;
};

const someOf = (value: NonNullable<Value>, test: Test): boolean => {
  if (test(value)) return true;
  if (value.type !== BsonType.array) return false;
  const cursor = new Cursor();
  cursor.open(value.bytes, value.start);
  while (cursor.next())
    if (test({ bytes: value.bytes, type: cursor.type, start: cursor.valueStart, end: cursor.valueEnd })) return true;
  return false;
};

const OPERATORS: ReadonlySet<string> = new Set([...Object.keys(TESTS), "$ne", "$nin", "$exists", "$not"]);

const field = (name: string, given: unknown): Where => {
  const path = name.split(".").map((part) => Buffer.from(part));
  if (path.some((part) => part.length === 0)) refuse(`${JSON.stringify(name)} is no path`);
  const any =
    (test: Test): Where =>
    (doc) =>
      some(doc, 0, path, 0, test);
  if (operatorOf(given) === undefined) return any(equal(given));
  const parts = Object.entries(given as Document).map(([operator, operand]): Where => {
    const test = TESTS[operator];
    if (test !== undefined) return any(test(operand));
    if (operator === "$ne") return not(any(equal(operand)));
    if (operator === "$nin") return not(any(among(operand, "$nin")));
    if (operator === "$not") return not(field(name, operand));
    if (operator === "$exists") {
      const there = any((value) => value !== undefined);
      return operand === true ? there : not(there);
    }
    return refuse(`${name}: ${operator} is not known; there are ${[...OPERATORS].join(", ")}`);
  });
  return (doc) => parts.every((part) => part(doc));
};

/** Extended JSON spells these values with an operator's dollar. */
const CONSTANTS: ReadonlySet<string> = new Set([
  "$date",
  "$oid",
  "$uuid",
  "$binary",
  "$timestamp",
  "$numberInt",
  "$numberLong",
  "$numberDouble",
  "$numberDecimal",
]);

/** The operator that a condition begins with, where it is none of a constant's. */
const operatorOf = (given: unknown): string | undefined => {
  const [first] = typeof given === "object" && given !== null && !Array.isArray(given) ? Object.keys(given) : [];
  return first?.startsWith("$") === true && !CONSTANTS.has(first) ? first : undefined;
};

/** What joins conditions. */
const JUNCTIONS: ReadonlyMap<string, (all: readonly Where[], doc: Uint8Array) => boolean> = new Map([
  ["$and", (all, doc) => all.every((where) => where(doc))],
  ["$or", (all, doc) => all.some((where) => where(doc))],
  ["$nor", (all, doc) => !all.some((where) => where(doc))],
]);

const not =
  (where: Where): Where =>
  (doc) =>
    !where(doc);

const listOf = (name: string, given: unknown): Where[] => {
  if (!Array.isArray(given) || given.length === 0) return refuse(`${name} needs a list of conditions`);
  return given.map((item) => compileWhere(item as Document));
};

/** Compiles a condition. @throws FERRY_CONFIG for what is not known here */
export const compileWhere = (condition: Readonly<Document>): Where => {
  const parts = Object.entries(condition).map(([name, given]): Where => {
    if (!name.startsWith("$")) return field(name, given);
    const join = JUNCTIONS.get(name);
    if (join === undefined) return refuse(`${name} is not known; there are ${[...JUNCTIONS.keys()].join(", ")}`);
    const all = listOf(name, given);
    return (doc) => join(all, doc);
  });
  return (doc) => parts.every((part) => part(doc));
};
