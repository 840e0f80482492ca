import { parseDecimal, readDecimal, writeDecimal } from "./decimal.ts";
import { canonicalValue } from "./identity.ts";
import { BsonType, Cursor, int32At, uint32At } from "./walk.ts";
import { BsonWriter } from "./writer.ts";

/**
 * One `_id` may be spelled in several ways: 1, 1L, 1.0 and Decimal128 1.0; and by a collection's collation `key` and `KEY`.
 * `identity.ts` says which spellings are one by the server's rule for numbers. This file knows how an `_id` is spelled.
 */

const ID = Buffer.from("_id");

const INT32_MAX = 2n ** 31n - 1n;
const INT64_MAX = 2n ** 63n - 1n;

type Scalar = Readonly<{ type: number; bytes: Uint8Array }>;

const ZERO: Scalar = { type: BsonType.int32, bytes: new Uint8Array(4) };
const scratch = new DataView(new ArrayBuffer(8));
const doubleBytes = (value: number): Scalar => {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleLE(value);
  return { type: BsonType.double, bytes };
};
const NOT_A_NUMBER = doubleBytes(Number.NaN);

const whole = (value: bigint): Scalar | undefined => {
  if (value > INT64_MAX || value < -INT64_MAX - 1n) return undefined;
  if (value <= INT32_MAX && value >= -INT32_MAX - 1n) {
    const bytes = Buffer.alloc(4);
    bytes.writeInt32LE(Number(value));
    return { type: BsonType.int32, bytes };
  }
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64LE(value);
  return { type: BsonType.int64, bytes };
};

const doubleAt = (bytes: Uint8Array, at: number): number => {
  scratch.setUint32(0, uint32At(bytes, at + 4));
  scratch.setUint32(4, uint32At(bytes, at));
  return scratch.getFloat64(0);
};

const plainDouble = (value: number): Scalar => {
  if (Number.isNaN(value)) return NOT_A_NUMBER;
  return (Number.isInteger(value) ? whole(BigInt(value)) : undefined) ?? doubleBytes(value);
};

const plainDecimal = (bytes: Uint8Array, at: number): Scalar => {
  const value = readDecimal(bytes, at);
  if (value.kind === "nan") return NOT_A_NUMBER;
  if (value.kind === "infinity") return doubleBytes(value.negative ? -Infinity : Infinity);
  let { coefficient, exponent } = value;
  if (coefficient === 0n) return ZERO;
  while (coefficient % 10n === 0n) {
    coefficient /= 10n;
    exponent++;
  }
  const sign = value.negative ? "-" : "";
  if (exponent >= 0 && exponent < 19) {
    const found = whole(BigInt(`${sign}${coefficient}`) * 10n ** BigInt(exponent));
    if (found !== undefined) return found;
  }
  const text = `${sign}${coefficient}E${exponent}`;
  const double = doubleBytes(Number(text));
  const isExact =
    canonicalValue(double.bytes, BsonType.double, 0, 8) === canonicalValue(bytes, BsonType.decimal128, at, at + 16);
  if (isExact) return double;
  const plain = new Uint8Array(16);
  writeDecimal(plain, 0, parseDecimal(text) ?? value);
  return { type: BsonType.decimal128, bytes: plain };
};

/** How a number is spelled that no other type could be chosen for; undefined for what is no number. */
const plainNumber = (bytes: Uint8Array, type: number, start: number): Scalar | undefined => {
  switch (type) {
    case BsonType.int64:
      return whole((BigInt(int32At(bytes, start + 4)) << 32n) | BigInt(uint32At(bytes, start)));
    case BsonType.double:
      return plainDouble(doubleAt(bytes, start));
    case BsonType.decimal128:
      return plainDecimal(bytes, start);
    default:
      return undefined;
  }
};

const writePlain = (out: BsonWriter, bytes: Uint8Array, start: number): void => {
  const cursor = new Cursor();
  cursor.open(bytes, start);
  while (cursor.next()) {
    const { type, nameStart, nameEnd, valueStart, valueEnd } = cursor;
    const head = (as: number): void => {
      out.byte(as);
      out.raw(bytes, nameStart, nameEnd + 1);
    };
    const number = plainNumber(bytes, type, valueStart);
    if (number !== undefined) {
      head(number.type);
      out.raw(number.bytes);
    } else if (type === BsonType.object || type === BsonType.array) {
      head(type);
      const inner = out.open();
      writePlain(out, bytes, valueStart);
      out.close(inner);
    } else if (type === BsonType.codeWithScope) {
      head(type);
      const at = out.length;
      const scope = valueStart + 8 + int32At(bytes, valueStart + 4);
      out.raw(bytes, valueStart, scope);
      const inner = out.open();
      writePlain(out, bytes, scope);
      out.close(inner);
      out.putInt32(at, out.length - at);
    } else {
      head(type === BsonType.symbol ? BsonType.string : type);
      out.raw(bytes, valueStart, valueEnd);
    }
  }
};

const seeker = new Cursor();

const idOf = (keyed: Uint8Array): Cursor | undefined => (seeker.open(keyed) && seeker.seek(ID) ? seeker : undefined);

/** Types of which each value has one spelling, whatever it is. */
const isPlainType = (type: number): boolean =>
  type === BsonType.objectId || type === BsonType.int32 || type === BsonType.string;

/**
 * `{ _id }` of a documentKey or document in the one spelling that all equal `_id`s share: the same bytes exactly where
 * `identityOf` answers the same, and the usual types as they are (int32, big int64, fractions as double, strings, ObjectIds).
 * Undefined where it is spelled so already by its type alone.
 */
export const plainSpelling = (keyed: Uint8Array): Uint8Array | undefined => {
  const id = idOf(keyed);
  if (id === undefined || isPlainType(id.type)) return undefined;
  const only = new BsonWriter(256);
  let at = only.open();
  only.value(id.type, "_id", keyed, id.valueStart, id.valueEnd);
  only.close(at);
  const out = new BsonWriter(256);
  at = out.open();
  writePlain(out, only.take(), 0);
  out.close(at);
  return out.take();
};

const holdsText = (bytes: Uint8Array, type: number, start: number): boolean => {
  if (type === BsonType.string) return true;
  if (type !== BsonType.object && type !== BsonType.array) return false;
  const cursor = new Cursor();
  cursor.open(bytes, start);
  while (cursor.next()) if (holdsText(bytes, cursor.type, cursor.valueStart)) return true;
  return false;
};

/**
 * Is there a string in the `_id`, at any depth? Then a collation may hold another one to be the same: which, its server alone
 * knows. @param keyed a documentKey or a document
 */
export const bearsText = (keyed: Uint8Array): boolean => {
  const id = idOf(keyed);
  return id !== undefined && holdsText(keyed, id.type, id.valueStart);
};

/** How one value is spelled, of those that could be spelled otherwise: `n` numbers, `s` texts. */
const spellingOf = (bytes: Uint8Array, type: number, start: number): string | undefined => {
  switch (type) {
    case BsonType.string:
      return "s string";
    case BsonType.symbol:
      return "s symbol";
    case BsonType.int32:
      return "n int";
    case BsonType.int64:
      return "n long";
    case BsonType.double:
      return Object.is(doubleAt(bytes, start), -0) ? "n -0" : "n double";
    case BsonType.decimal128: {
      const value = readDecimal(bytes, start);
      // 1.0 and 1.00 are two spellings: of one exponent each value has one.
      return value.kind === "finite" ? `n decimal E${value.exponent}` : "n decimal";
    }
    default:
      return undefined;
  }
};

const spell = (bytes: Uint8Array, type: number, start: number, path: string, into: string[]): void => {
  const own = spellingOf(bytes, type, start);
  if (own !== undefined) into.push(`${path} ${own}`);
  const inner = type === BsonType.codeWithScope ? start + 8 + int32At(bytes, start + 4) : start;
  if (type !== BsonType.object && type !== BsonType.array && inner === start) return;
  const cursor = new Cursor();
  cursor.open(bytes, inner);
  while (cursor.next()) {
    const { nameStart, nameEnd } = cursor;
    const name = type === BsonType.array ? "[]" : Buffer.from(bytes.subarray(nameStart, nameEnd)).toString();
    spell(bytes, cursor.type, cursor.valueStart, `${path}.${name}`, into);
  }
};

/**
 * How those values of an `_id` are spelled that could be spelled otherwise: path, family and spelling, such as `_id n int`.
 * Two `_id`s may be one with different bytes only if two spellings of one family are at one path.
 * @param keyed a documentKey or a document
 */
export const spellingsOf = (keyed: Uint8Array): readonly string[] => {
  const id = idOf(keyed);
  const found: string[] = [];
  if (id !== undefined) spell(keyed, id.type, id.valueStart, "_id", found);
  return found;
};

/** Do these let two `_id`s be one that are spelled differently? @param spellings as `spellingsOf` gives them */
export const isAmbiguous = (spellings: Iterable<string>): boolean => {
  const known = new Map<string, string>();
  for (const spelling of spellings) {
    const [, place = "", how = ""] = /^(.* [ns]) (.*)$/s.exec(spelling) ?? [];
    if (known.has(place) && known.get(place) !== how) return true;
    known.set(place, how);
  }
  return false;
};
