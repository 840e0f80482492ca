import { BsonType } from "#base/bson/walk.ts";
import type { BsonWriter } from "#base/bson/writer.ts";
import { BACKSLASH, CLOSE_OBJECT, COLON, hexDigit, OPEN_OBJECT, QUOTE, skipSpace } from "./scan.ts";

/**
 * The wrappers that make up most of a record, `$oid`, `$numberInt`, `$numberLong` and the canonical `$date`, straight from
 * text to bytes. Anything unusual about them is left to wrappers.ts; this file only makes the usual case fast.
 */

const OID = Buffer.from("$oid");
const DATE = Buffer.from("$date");
const INT = Buffer.from("$numberInt");
const LONG = Buffer.from("$numberLong");

/** An object of one member, and where its value lies: inside of the quotes where it is a string. */
class OneMember {
  valueStart = 0;
  valueEnd = 0;
  /** Behind the closing brace. */
  end = 0;

  /** Is this `{"name": "text without escapes"}`? `at` is the brace. */
  string(text: Uint8Array, at: number, name: Uint8Array): boolean {
    const value = this.#valueAt(text, at, name);
    if (value < 0 || text[value] !== QUOTE) return false;
    let i = value + 1;
    for (let byte = text[i]; byte !== QUOTE; byte = text[++i])
      if (byte === undefined || byte === BACKSLASH) return false;
    this.valueStart = value + 1;
    this.valueEnd = i;
    return this.#closes(text, i + 1);
  }

  /** Is this `{"name": {"inner": "text without escapes"}}`? */
  nested(text: Uint8Array, at: number, name: Uint8Array, inner: Uint8Array): boolean {
    const value = this.#valueAt(text, at, name);
    return value >= 0 && text[value] === OPEN_OBJECT && this.string(text, value, inner) && this.#closes(text, this.end);
  }

  #valueAt(text: Uint8Array, at: number, name: Uint8Array): number {
    let i = skipSpace(text, at + 1);
    if (text[i] !== QUOTE) return -1;
    i++;
    for (let n = 0; n < name.length; n++, i++) if (text[i] !== name[n]) return -1;
    if (text[i] !== QUOTE) return -1;
    i = skipSpace(text, i + 1);
    return text[i] === COLON ? skipSpace(text, i + 1) : -1;
  }

  #closes(text: Uint8Array, at: number): boolean {
    const brace = skipSpace(text, at);
    this.end = brace + 1;
    return text[brace] === CLOSE_OBJECT;
  }
}

/** Up to 15 digits are exact in a double. */
const MOST_DIGITS = 15;

/** The decimal integer in `[start, end)`, or NaN where it is none or too long for this path. */
export const smallInteger = (text: Uint8Array, start: number, end: number): number => {
  const negative = text[start] === 0x2d;
  const from = negative ? start + 1 : start;
  if (end === from || end - from > MOST_DIGITS) return Number.NaN;
  let value = 0;
  for (let i = from; i < end; i++) {
    const digit = (text[i] as number) - 0x30;
    if (digit < 0 || digit > 9) return Number.NaN;
    value = value * 10 + digit;
  }
  return negative ? -value : value;
};

const putInt64 = (out: BsonWriter, value: number): void => {
  out.rawInt32((value % 0x1_0000_0000) | 0);
  out.rawInt32(Math.floor(value / 0x1_0000_0000));
};

const putHex = (out: BsonWriter, text: Uint8Array, start: number): boolean => {
  out.reserve(12);
  const { bytes, length } = out;
  for (let i = 0; i < 12; i++) {
    const high = hexDigit(text[start + 2 * i]);
    const low = hexDigit(text[start + 2 * i + 1]);
    if (high < 0 || low < 0) return false;
    bytes[length + i] = (high << 4) | low;
  }
  out.length = length + 12;
  return true;
};

const one = new OneMember();

const int32 = (text: Uint8Array, out: BsonWriter): number => {
  const value = smallInteger(text, one.valueStart, one.valueEnd);
  if (value !== (value | 0)) return -1;
  out.rawInt32(value);
  return BsonType.int32;
};

const int64 = (text: Uint8Array, out: BsonWriter, type: number): number => {
  const value = smallInteger(text, one.valueStart, one.valueEnd);
  if (Number.isNaN(value)) return -1;
  putInt64(out, value);
  return type;
};

/** The wrapper's type by its letters, or -1; `one` then tells where the object ends. */
const write = (text: Uint8Array, at: number, first: number, out: BsonWriter): number => {
  switch (text[first + 2]) {
    case 0x6f: // $oid
      if (!one.string(text, at, OID) || one.valueEnd - one.valueStart !== 24) return -1;
      return putHex(out, text, one.valueStart) ? BsonType.objectId : -1;
    case 0x6e: // $numberInt, $numberLong
      if (text[first + 8] === 0x49) return one.string(text, at, INT) ? int32(text, out) : -1;
      return text[first + 8] === 0x4c && one.string(text, at, LONG) ? int64(text, out, BsonType.int64) : -1;
    case 0x64: // $date
      return one.nested(text, at, DATE, LONG) ? int64(text, out, BsonType.date) : -1;
    default:
      return -1;
  }
};

/**
 * Writes the wrapper that the object at `at` is, with its type into the byte at `typeAt`; `first` is where its first key
 * begins, whose first letter is `$`. The position after it, or -1 with nothing written where this path does not apply.
 */
export const writeFastWrapper = (
  text: Uint8Array,
  at: number,
  first: number,
  out: BsonWriter,
  typeAt: number,
): number => {
  const type = write(text, at, first, out);
  if (type < 0) return -1;
  out.bytes[typeAt] = type;
  return one.end;
};
