import { assert } from "#base/errors/ferryError.ts";
import { readDecimal } from "./decimal.ts";
import { BsonType, Cursor, int32At, uint32At } from "./walk.ts";

/**
 * When MongoDB holds two `_id`s to be one: numbers by their exact value whatever their type (1, 1L, 1.0 and Decimal128 1
 * are one, 0.1 and Decimal128 0.1 are not), all NaNs are one, −0 is 0, Symbol equals String, subdocuments by names,
 * order and values, everything else by type and bytes. Kafka keys differ where these do not, so order within a worker
 * goes by identity. The collation of a collection can join more (`A` and `a`); that is outside of this file.
 *
 * The string is a canonical form: a tag, then a self-delimiting body, so different values cannot run into each other.
 */

const ID = Buffer.from("_id");
const SAFE = BigInt(Number.MAX_SAFE_INTEGER);

const scratch = new DataView(new ArrayBuffer(8));

const latin1 = (bytes: Uint8Array, start: number, end: number): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString("latin1");

/** `coefficient × 2^twos × 5^fives`, made unique by taking every factor 2 and 5 out of the coefficient. */
const exactNumber = (negative: boolean, coefficient: bigint, twos: number, fives: number): string => {
  if (coefficient === 0n) return "n0;";
  let rest = coefficient;
  let two = twos;
  let five = fives;
  while ((rest & 1n) === 0n) {
    rest >>= 1n;
    two++;
  }
  while (rest % 5n === 0n) {
    rest /= 5n;
    five++;
  }
  const sign = negative ? "-" : "";
  if (two >= 0 && two <= 53 && five >= 0 && five <= 23) {
    const whole = (rest << BigInt(two)) * 5n ** BigInt(five);
    // The short form must be chosen by value alone, so that an int32 and a Decimal128 agree on it.
    if (whole <= SAFE) return `n${sign}${whole};`;
  }
  return `n${sign}${rest}*2^${two}*5^${five};`;
};

const doubleNumber = (value: number, high: number, low: number): string => {
  if (Number.isSafeInteger(value)) return `n${value === 0 ? 0 : value};`;
  if (Number.isNaN(value)) return "nNaN;";
  if (value === Infinity) return "nInf;";
  if (value === -Infinity) return "n-Inf;";
  const power = (high >>> 20) & 0x7ff;
  const fraction = (BigInt(high & 0xfffff) << 32n) | BigInt(low);
  const coefficient = power === 0 ? fraction : fraction | (1n << 52n);
  return exactNumber(high >>> 31 === 1, coefficient, (power === 0 ? 1 : power) - 1075, 0);
};

const doubleAt = (bytes: Uint8Array, at: number): number => {
  scratch.setUint32(0, uint32At(bytes, at + 4));
  scratch.setUint32(4, uint32At(bytes, at));
  return scratch.getFloat64(0);
};

const int64Number = (low: number, high: number): string => {
  const value = high * 0x1_0000_0000 + low;
  if (Number.isSafeInteger(value)) return `n${value};`;
  const exact = (BigInt(high) << 32n) | BigInt(low);
  return exact < 0n ? exactNumber(true, -exact, 0, 0) : exactNumber(false, exact, 0, 0);
};

const decimalNumber = (bytes: Uint8Array, at: number): string => {
  const value = readDecimal(bytes, at);
  if (value.kind === "nan") return "nNaN;";
  if (value.kind === "infinity") return value.negative ? "n-Inf;" : "nInf;";
  return exactNumber(value.negative, value.coefficient, value.exponent, value.exponent);
};

const documentBody = (bytes: Uint8Array, start: number, named: boolean): string => {
  const cursor = new Cursor();
  let body = "";
  cursor.open(bytes, start);
  while (cursor.next()) {
    const name = named ? `${latin1(bytes, cursor.nameStart, cursor.nameEnd)}\0` : "";
    body += `,${name}${canonicalValue(bytes, cursor.type, cursor.valueStart, cursor.valueEnd)}`;
  }
  return body;
};

/** The canonical form of one value: the same string where MongoDB holds two values to be equal. The bytes are a validated document's. */
export const canonicalValue = (bytes: Uint8Array, type: number, start: number, end: number): string => {
  switch (type) {
    case BsonType.objectId:
      return `o${latin1(bytes, start, end)}`;
    case BsonType.int32:
      return `n${int32At(bytes, start)};`;
    case BsonType.string:
    case BsonType.symbol:
      return `s${end - start - 5}:${latin1(bytes, start + 4, end - 1)}`;
    case BsonType.int64:
      return int64Number(uint32At(bytes, start), int32At(bytes, start + 4));
    case BsonType.double:
      return doubleNumber(doubleAt(bytes, start), uint32At(bytes, start + 4), uint32At(bytes, start));
    case BsonType.decimal128:
      return decimalNumber(bytes, start);
    case BsonType.object:
      return `{${documentBody(bytes, start, true)}}`;
    case BsonType.array:
      // Element names of an array are not compared, only their order.
      return `[${documentBody(bytes, start, false)}]`;
    case BsonType.codeWithScope: {
      const scope = start + 8 + int32At(bytes, start + 4);
      return `w${scope - start - 9}:${latin1(bytes, start + 8, scope - 1)}{${documentBody(bytes, scope, true)}}`;
    }
    default:
      return `t${type}.${end - start}:${latin1(bytes, start, end)}`;
  }
};

const seeker = new Cursor();

/** Does the document hold `_id` as its first element, as nearly every documentKey does? */
const startsWithId = (key: Uint8Array): boolean =>
  key.length > 9 && key[5] === 0x5f && key[6] === 0x69 && key[7] === 0x64 && key[8] === 0;

const seekId = (key: Uint8Array): Cursor => {
  const found = seeker.open(key) && seeker.seek(ID);
  assert(found, "identity was asked of a documentKey without _id; the decoder lets none pass");
  return seeker;
};

/**
 * The same string for two documentKeys exactly where MongoDB holds their `_id`s to be equal. Shard key fields do not
 * count. `documentKey` is validated raw BSON.
 * @throws FERRY_BUG where it has no `_id`
 */
export const identityOf = (documentKey: Uint8Array): string => {
  if (startsWithId(documentKey)) {
    const type = documentKey[4] as number;
    if (type === BsonType.objectId) return `o${latin1(documentKey, 9, 21)}`;
    if (type === BsonType.int32) return `n${int32At(documentKey, 9)};`;
  }
  const id = seekId(documentKey);
  return canonicalValue(documentKey, id.type, id.valueStart, id.valueEnd);
};

/** Final mixing of a 32-bit word (murmur3's finalizer): every input bit moves every output bit. */
const mix = (word: number): number => {
  let h = word;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
};

const hashBytes = (bytes: Uint8Array, start: number, end: number, seed: number): number => {
  let h = seed ^ (end - start);
  let at = start;
  for (; at + 4 <= end; at += 4) h = Math.imul((h ^ int32At(bytes, at)) + 0x9e3779b9, 0x85ebca6b) ^ (h >>> 15);
  for (; at < end; at++) h = Math.imul(h ^ (bytes[at] as number), 0x01000193);
  return mix(h);
};

const hashText = (text: string): number => {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  return mix(h);
};

const SEED_NUMBER = 0x51ed270b;
const SEED_STRING = 0x2545f491;
const SEED_OBJECT_ID = 0x68e31da4;

const hashInt32 = (value: number): number => mix(value ^ SEED_NUMBER);

const hashString = (bytes: Uint8Array, at: number): number =>
  hashBytes(bytes, at + 4, at + 3 + int32At(bytes, at), SEED_STRING);

/** Numbers that equal an int32 must meet the int32's hash; the rest hash their canonical form. */
const hashValue = (bytes: Uint8Array, type: number, start: number, end: number): number => {
  if (type === BsonType.objectId) return hashBytes(bytes, start, end, SEED_OBJECT_ID);
  if (type === BsonType.int32) return hashInt32(int32At(bytes, start));
  if (type === BsonType.string || type === BsonType.symbol) return hashString(bytes, start);
  if (type === BsonType.int64 && int32At(bytes, start + 4) === int32At(bytes, start) >> 31) {
    return hashInt32(int32At(bytes, start));
  }
  if (type === BsonType.double) {
    const value = doubleAt(bytes, start);
    if ((value | 0) === value) return hashInt32(value | 0);
  }
  const text = canonicalValue(bytes, type, start, end);
  if (type === BsonType.decimal128 && text.length <= 13) {
    const value = Number(text.slice(1, -1));
    if ((value | 0) === value) return hashInt32(value);
  }
  return hashText(text);
};

/**
 * A well-mixed uint32, equal for equal identities; builds no string for ObjectId, String and whole numbers.
 * @throws FERRY_BUG where `documentKey` has no `_id`
 */
export const hashIdentity = (documentKey: Uint8Array): number => {
  if (startsWithId(documentKey)) {
    switch (documentKey[4] as number) {
      case BsonType.objectId:
        return hashBytes(documentKey, 9, 21, SEED_OBJECT_ID);
      case BsonType.int32:
        return hashInt32(int32At(documentKey, 9));
      case BsonType.string:
        return hashString(documentKey, 9);
      default:
    }
  }
  const { type, valueStart, valueEnd } = seekId(documentKey);
  return hashValue(documentKey, type, valueStart, valueEnd);
};
