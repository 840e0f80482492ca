/**
 * Decimal128 as BSON stores it: 16 bytes little-endian, IEEE 754-2008 with the coefficient as a binary integer.
 * Source: https://github.com/mongodb/specifications, BSON Decimal128.
 */

/** A finite value is `(-1)^negative × coefficient × 10^exponent`. */
export type Decimal =
  | Readonly<{ kind: "finite"; negative: boolean; coefficient: bigint; exponent: number }>
  | Readonly<{ kind: "infinity"; negative: boolean }>
  | Readonly<{ kind: "nan" }>;

const BIAS = 6176;
const MIN_EXPONENT = -6176;
const MAX_EXPONENT = 6111;
const MAX_DIGITS = 34;
const MAX_COEFFICIENT = 10n ** 34n - 1n;

const view = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** Reads the value at `at`. A coefficient beyond 34 digits is not canonical and counts as zero, as IEEE 754 says. */
export const readDecimal = (bytes: Uint8Array, at: number): Decimal => {
  const data = view(bytes);
  const high = data.getBigUint64(at + 8, true);
  const negative = high >> 63n === 1n;
  const lead = Number((high >> 58n) & 0x1fn);
  if (lead === 0x1f) return { kind: "nan" };
  if (lead === 0x1e) return { kind: "infinity", negative };
  const large = lead >> 3 === 3;
  const exponent = Number((high >> (large ? 47n : 49n)) & 0x3fffn) - BIAS;
  if (large) return { kind: "finite", negative, coefficient: 0n, exponent };
  const coefficient = ((high & 0x1ffffffffffffn) << 64n) | data.getBigUint64(at, true);
  return { kind: "finite", negative, coefficient: coefficient > MAX_COEFFICIENT ? 0n : coefficient, exponent };
};

/** The 16 bytes of a value, as two 64-bit words: low first. */
const words = (value: Decimal): readonly [bigint, bigint] => {
  if (value.kind === "nan") return [0n, 0x7c00_0000_0000_0000n];
  const sign = value.negative ? 1n << 63n : 0n;
  if (value.kind === "infinity") return [0n, sign | 0x7800_0000_0000_0000n];
  const exponent = BigInt(value.exponent + BIAS);
  return [value.coefficient & 0xffff_ffff_ffff_ffffn, sign | (exponent << 49n) | (value.coefficient >> 64n)];
};

/** Writes 16 bytes at `at`. */
export const writeDecimal = (bytes: Uint8Array, at: number, value: Decimal): void => {
  const data = view(bytes);
  const [low, high] = words(value);
  data.setBigUint64(at, low, true);
  data.setBigUint64(at + 8, high, true);
};

const NUMBER = /^([+-]?)(?:(\d+)\.?(\d*)|\.(\d+))(?:[eE]([+-]?\d+))?$/;
const SPECIAL = /^([+-]?)(?:(inf(?:inity)?)|(nan))$/i;

/** Brings exponent and coefficient into range without changing the value; undefined where that is not possible. */
const fit = (negative: boolean, digits: string, written: number): Decimal | undefined => {
  let exponent = written;
  let kept = digits.replace(/^0+/, "");
  const zero = kept === "";
  while (kept.length > MAX_DIGITS || (exponent < MIN_EXPONENT && kept !== "")) {
    if (!kept.endsWith("0")) return undefined;
    kept = kept.slice(0, -1);
    exponent++;
  }
  while (exponent > MAX_EXPONENT && !zero && kept.length < MAX_DIGITS) {
    kept += "0";
    exponent--;
  }
  if (zero) exponent = Math.max(MIN_EXPONENT, Math.min(MAX_EXPONENT, exponent));
  if (exponent > MAX_EXPONENT) return undefined;
  return { kind: "finite", negative, coefficient: BigInt(kept === "" ? "0" : kept), exponent };
};

/** Parses the specification's text form; undefined where it is no such text, or where digits would be lost. */
export const parseDecimal = (text: string): Decimal | undefined => {
  const number = NUMBER.exec(text);
  if (number !== null) {
    const [, sign = "", whole = "", fraction = "", bare = "", power = "0"] = number;
    const after = fraction + bare;
    return fit(sign === "-", whole + after, Number(power) - after.length);
  }
  const special = SPECIAL.exec(text);
  if (special === null) return undefined;
  return special[3] === undefined ? { kind: "infinity", negative: special[1] === "-" } : { kind: "nan" };
};

/** The specification's text form; `parseDecimal` gives the same value and exponent back. */
export const formatDecimal = (value: Decimal): string => {
  if (value.kind === "nan") return "NaN";
  const sign = value.negative ? "-" : "";
  if (value.kind === "infinity") return `${sign}Infinity`;
  const digits = value.coefficient.toString();
  const { exponent } = value;
  const scientific = exponent + digits.length - 1;
  if (exponent > 0 || scientific < -6) {
    const mantissa = digits.length === 1 ? digits : `${digits.slice(0, 1)}.${digits.slice(1)}`;
    return `${sign}${mantissa}E${scientific < 0 ? "" : "+"}${scientific}`;
  }
  if (exponent === 0) return sign + digits;
  const padded = digits.padStart(1 - exponent, "0");
  return `${sign}${padded.slice(0, exponent)}.${padded.slice(exponent)}`;
};
