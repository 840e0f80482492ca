import { type Decimal, readDecimal } from "#base/bson/decimal.ts";
import { BsonType, Cursor, int32At, uint32At } from "#base/bson/walk.ts";

/**
 * How the server orders two values, on raw bytes: first by kind, then within the kind. Numbers compare by their exact value
 * whatever their type, strings as bytes (the `simple` collation), documents and arrays element by element.
 * Source: MongoDB manual, "Comparison/Sort Order"; the server's `BSONElement::compareElements`. A differential test against
 * a real server holds it (test/integration/where.test.ts).
 */

/** A value in place. A `Cursor` at an element is one. */
export type Element = Readonly<{ bytes: Uint8Array; type: number; valueStart: number; valueEnd: number }>;

/** Types of one kind have one number; kinds are ordered by it. -1 and 127 are outside of everything else. */
const KINDS: Readonly<Record<number, number>> = {
  [BsonType.minKey]: -1,
  [BsonType.undefined]: 0,
  [BsonType.null]: 5,
  [BsonType.double]: 10,
  [BsonType.int32]: 10,
  [BsonType.int64]: 10,
  [BsonType.decimal128]: 10,
  [BsonType.string]: 15,
  [BsonType.symbol]: 15,
  [BsonType.object]: 20,
  [BsonType.array]: 25,
  [BsonType.binary]: 30,
  [BsonType.objectId]: 35,
  [BsonType.boolean]: 40,
  [BsonType.date]: 45,
  [BsonType.timestamp]: 47,
  [BsonType.regex]: 50,
  [BsonType.dbPointer]: 55,
  [BsonType.code]: 60,
  [BsonType.codeWithScope]: 65,
  [BsonType.maxKey]: 127,
};

/** The place of a type among the kinds. `type` is a valid type byte. */
export const orderOfType = (type: number): number => KINDS[type] as number;

const slice = ({ bytes, valueStart, valueEnd }: Element, skip = 0, drop = 0): Buffer =>
  Buffer.from(bytes.buffer, bytes.byteOffset + valueStart + skip, valueEnd - valueStart - skip - drop);

const by = <T extends number | bigint>(a: T, b: T): number => {
  if (a < b) return -1;
  return a > b ? 1 : 0;
};

/** A finite number is `coefficient × 2^twos × 5^fives`. */
type Exact = Readonly<{ coefficient: bigint; twos: number; fives: number }>;

const exactDouble = (value: Buffer): Exact => {
  const high = value.readUInt32LE(4);
  const power = (high >>> 20) & 0x7ff;
  const fraction = (BigInt(high & 0xfffff) << 32n) | BigInt(value.readUInt32LE(0));
  const whole = power === 0 ? fraction : fraction | (1n << 52n);
  return { coefficient: high >>> 31 === 1 ? -whole : whole, twos: (power === 0 ? 1 : power) - 1075, fives: 0 };
};

const exactDecimal = (value: Decimal): Exact => {
  if (value.kind !== "finite") return { coefficient: 0n, twos: 0, fives: 0 };
  const { negative, coefficient, exponent } = value;
  return { coefficient: negative ? -coefficient : coefficient, twos: exponent, fives: exponent };
};

const exact = (value: Element): Exact => {
  if (value.type === BsonType.double) return exactDouble(slice(value));
  if (value.type === BsonType.decimal128) return exactDecimal(readDecimal(value.bytes, value.valueStart));
  const coefficient =
    value.type === BsonType.int64 ? slice(value).readBigInt64LE() : BigInt(int32At(value.bytes, value.valueStart));
  return { coefficient, twos: 0, fives: 0 };
};

const scaled = ({ coefficient, twos, fives }: Exact, two: number, five: number): bigint =>
  (coefficient << BigInt(twos - two)) * 5n ** BigInt(fives - five);

const compareExact = (a: Exact, b: Exact): number => {
  const two = Math.min(a.twos, b.twos);
  const five = Math.min(a.fives, b.fives);
  return by(scaled(a, two, five), scaled(b, two, five));
};

const nearestOfDecimal = (value: Decimal): number => {
  if (value.kind === "nan") return Number.NaN;
  const size = value.kind === "infinity" ? Number.POSITIVE_INFINITY : Number(`${value.coefficient}e${value.exponent}`);
  return value.negative ? -size : size;
};

/** The double next to a number. */
const nearest = (value: Element): number => {
  switch (value.type) {
    case BsonType.int32:
      return int32At(value.bytes, value.valueStart);
    case BsonType.double:
      return slice(value).readDoubleLE();
    case BsonType.int64:
      return Number(slice(value).readBigInt64LE());
    default:
      return nearestOfDecimal(readDecimal(value.bytes, value.valueStart));
  }
};

const isInfinite = ({ bytes, type, valueStart }: Element): boolean =>
  type === BsonType.decimal128 && readDecimal(bytes, valueStart).kind === "infinity";

/** Is it a number that is none? */
export const isNaNElement = (value: Element): boolean =>
  (value.type === BsonType.double || value.type === BsonType.decimal128) && Number.isNaN(nearest(value));

const isSmall = (type: number): boolean => type === BsonType.int32 || type === BsonType.double;

/** NaN is one value, below all others. */
const compareNumbers = (a: Element, b: Element): number => {
  const [left, right] = [nearest(a), nearest(b)];
  if (Number.isNaN(left) || Number.isNaN(right)) return by(Number.isNaN(left) ? 0 : 1, Number.isNaN(right) ? 0 : 1);
  // Rounding keeps the order, so only what rounds to the same double needs a closer look.
  if (left !== right) return left < right ? -1 : 1;
  if (isSmall(a.type) && isSmall(b.type)) return 0;
  if (!Number.isFinite(left)) return compareBeyond(a, b, left);
  return compareExact(exact(a), exact(b));
};

/** Both round to the same infinity, `sign`; a Decimal128 may still be a finite number. */
const compareBeyond = (a: Element, b: Element, sign: number): number => {
  const [left, right] = [a, b].map((one) => one.type === BsonType.double || isInfinite(one));
  if (left === true || right === true) return Math.sign(sign) * by(left === true ? 1 : 0, right === true ? 1 : 0);
  return compareExact(exact(a), exact(b));
};

const compareDocuments = (a: Element, b: Element): number => {
  const [left, right] = [new Cursor(), new Cursor()];
  left.open(a.bytes, a.valueStart);
  right.open(b.bytes, b.valueStart);
  for (;;) {
    const more = left.next();
    if (!right.next()) return more ? 1 : 0;
    if (!more) return -1;
    const order =
      by(orderOfType(left.type), orderOfType(right.type)) ||
      Buffer.compare(
        left.bytes.subarray(left.nameStart, left.nameEnd),
        right.bytes.subarray(right.nameStart, right.nameEnd),
      ) ||
      compareElements(left, right);
    if (order !== 0) return order;
  }
};

/** Length first, then subtype (it lies after the length) and bytes. */
const compareBinaries = (a: Element, b: Element): number =>
  by(a.valueEnd - a.valueStart, b.valueEnd - b.valueStart) || Buffer.compare(slice(a, 4), slice(b, 4));

const timestamp = ({ bytes, valueStart }: Element): bigint =>
  (BigInt(uint32At(bytes, valueStart + 4)) << 32n) | BigInt(uint32At(bytes, valueStart));

/**
 * Below zero, zero or above: the order of two values of one kind, the second a constant of a row filter, which is none of the
 * kinds from regular expressions on. Both lie in validated documents.
 */
export const compareElements = (a: Element, b: Element): number => {
  switch (a.type) {
    case BsonType.double:
    case BsonType.int32:
    case BsonType.int64:
    case BsonType.decimal128:
      return compareNumbers(a, b);
    case BsonType.string:
    case BsonType.symbol:
      return Buffer.compare(slice(a, 4, 1), slice(b, 4, 1));
    case BsonType.object:
    case BsonType.array:
      return compareDocuments(a, b);
    case BsonType.binary:
      return compareBinaries(a, b);
    case BsonType.date:
      return by(slice(a).readBigInt64LE(), slice(b).readBigInt64LE());
    case BsonType.timestamp:
      return by(timestamp(a), timestamp(b));
    case BsonType.objectId:
    case BsonType.boolean:
      return Buffer.compare(slice(a), slice(b));
    default:
      return 0; // null
  }
};
