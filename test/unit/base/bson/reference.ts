import fc from "fast-check";
import { anyValue, type Value } from "./arbitrary.ts";

/** `_id` equality a second time, by rational arithmetic: what src/base/bson/identity.ts is held against. */

const DECIMAL = /^(-?)(\d+)(?:\.(\d+))?(?:E([+-]?\d+))?$/i;

/** A Decimal128 value from text; its bytes are assembled here. */
export const decimalOf = (text: string): Value => {
  const bytes = Buffer.alloc(16);
  const special = { NaN: 0x7cn, Infinity: 0x78n, "-Infinity": 0xf8n }[text];
  if (special !== undefined) bytes.writeBigUInt64LE(special << 56n, 8);
  else {
    const [, sign = "", whole = "", fraction = "", power = "0"] = DECIMAL.exec(text) ?? [];
    const coefficient = BigInt(whole + fraction);
    const exponent = BigInt(Number(power) - fraction.length + 6176);
    bytes.writeBigUInt64LE(coefficient & 0xffff_ffff_ffff_ffffn, 0);
    bytes.writeBigUInt64LE((coefficient >> 64n) | (exponent << 49n) | (sign === "" ? 0n : 1n << 63n), 8);
  }
  return { t: "decimal", v: text, bytes };
};

/** numerator/denominator in lowest terms. */
const ratio = (numerator: bigint, denominator: bigint): string => {
  let [a, b] = [numerator < 0n ? -numerator : numerator, denominator];
  while (b !== 0n) [a, b] = [b, a % b];
  return `number ${numerator / a}/${denominator / a}`;
};

const ofDouble = (value: number): string => {
  if (!Number.isFinite(value)) return `number ${value}`;
  let [scaled, denominator] = [value, 1n];
  while (!Number.isInteger(scaled)) {
    scaled *= 2;
    denominator *= 2n;
  }
  return ratio(BigInt(scaled), denominator);
};

const ofDecimal = (bytes: Uint8Array): string => {
  const data = Buffer.from(bytes);
  const high = data.readBigUInt64LE(8);
  const lead = Number((high >> 58n) & 31n);
  if (lead === 31) return "number NaN";
  if (lead === 30) return `number ${high >> 63n === 1n ? "-" : ""}Infinity`;
  const coefficient = ((high & 0x1ffffffffffffn) << 64n) | data.readBigUInt64LE(0);
  const exponent = Number((high >> 49n) & 0x3fffn) - 6176;
  const signed = high >> 63n === 1n ? -coefficient : coefficient;
  return exponent >= 0 ? ratio(signed * 10n ** BigInt(exponent), 1n) : ratio(signed, 10n ** BigInt(-exponent));
};

/** Equal strings for values that MongoDB holds to be one `_id`. */
export const referenceIdentity = (value: Value): string => {
  switch (value.t) {
    case "int32":
      return ratio(BigInt(value.v), 1n);
    case "int64":
      return ratio(value.v, 1n);
    case "double":
      return ofDouble(value.v);
    case "decimal":
      return ofDecimal(value.bytes);
    case "string":
    case "symbol":
      return `text ${JSON.stringify(value.v)}`;
    case "object":
      return JSON.stringify(["object", value.v.map(([name, item]) => [name, referenceIdentity(item)])]);
    case "array":
      return JSON.stringify(["array", value.v.map(referenceIdentity)]);
    case "scoped":
      return JSON.stringify(["scoped", value.v, value.scope.map(([name, item]) => [name, referenceIdentity(item)])]);
    default:
      return JSON.stringify(value, (_, part) =>
        typeof part === "bigint" ? String(part) : part instanceof Uint8Array ? Buffer.from(part).toString("hex") : part,
      );
  }
};

const wholes = fc.oneof(
  fc.integer({ min: -3, max: 3 }).map(BigInt),
  fc
    .tuple(fc.constantFrom(31n, 32n, 53n, 62n, 63n), fc.bigInt({ min: -3n, max: 3n }), fc.constantFrom(1n, -1n))
    .map(([power, more, sign]) => BigInt.asIntN(64, sign * (2n ** power + more))),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
);

/** One number spelled as a type of choice, where that type can hold something near it. */
const spelled = (whole: bigint, how: number): Value => {
  switch (how) {
    case 0:
      return { t: "int32", v: Number(BigInt.asIntN(32, whole)) };
    case 1:
      return { t: "int64", v: whole };
    case 2:
      return { t: "double", v: Number(whole) };
    case 3:
      return decimalOf(`${whole}.000`);
    case 4:
      return { t: "double", v: Number(whole) / 8 };
    case 5:
      return decimalOf(`${whole * 125n}E-3`);
    case 6:
      return { t: "double", v: Number(whole) / 10 };
    default:
      return decimalOf(`${whole}E-1`);
  }
};

const how = fc.nat({ max: 7 });

/** Numbers that are often equal, or differ in the last place. */
const closeNumbers = fc
  .tuple(wholes, fc.bigInt({ min: -1n, max: 1n }), how, how)
  .map(([whole, more, a, b]): [Value, Value] => [spelled(whole, a), spelled(BigInt.asIntN(64, whole + more), b)]);

const wrap = (value: Value, how: number): Value => {
  if (how === 0) return { t: "object", v: [["a", value]] };
  if (how === 1) return { t: "object", v: [["l", { t: "array", v: [value, { t: "null" }] }]] };
  if (how === 2) return { t: "scoped", v: "f", scope: [["a", value]] };
  return value;
};

/** Pairs of values that stand a good chance of being equal, at the top or inside of the same structure. */
export const closeValues: fc.Arbitrary<[Value, Value]> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc
      .tuple(closeNumbers, fc.nat({ max: 5 }))
      .map(([[a, b], how]): [Value, Value] => [wrap(a, how), wrap(b, how)]),
  },
  { weight: 1, arbitrary: fc.tuple(anyValue, anyValue) },
  { weight: 1, arbitrary: anyValue.map((value): [Value, Value] => [value, value]) },
);
