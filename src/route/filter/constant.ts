/**
 * Values of a row filter, from the configuration to BSON. Nothing is guessed: what would become another value than the one
 * that was written (digits that a double does not hold, a date without its zone, an order of names that JavaScript does not
 * keep) is refused.
 * Source: https://github.com/mongodb/specifications, Extended JSON; of it, what a filter needs.
 */
import { Binary, BSON, Decimal128, Double, Int32, Long, ObjectId, Timestamp } from "bson";
import { parseDecimal } from "#base/bson/decimal.ts";
import { Cursor } from "#base/bson/walk.ts";
import { FerryError } from "#base/errors/ferryError.ts";
import type { Element } from "./order.ts";

/** @throws FERRY_CONFIG */
export const refuseWhere = (sentence: string): never => {
  throw new FerryError("FERRY_CONFIG", `where: ${sentence}`);
};

const isObject = (given: unknown): given is Readonly<Record<string, unknown>> =>
  typeof given === "object" && given !== null && !Array.isArray(given);

const text = (given: unknown): string => (typeof given === "string" ? given : "");

/** A value from the text of one of Extended JSON's types; undefined where it is none. */
type Reader = (given: unknown) => unknown;

const ISO_DATE = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,3})?)?(Z|[+-]\d\d:\d\d))?$/;

/** Does the calendar have the day? JavaScript takes 30 February for 1 March. */
const isDay = (day: string): boolean =>
  !Number.isNaN(Date.parse(day)) && new Date(`${day}T00:00:00Z`).toISOString().startsWith(day);

const date: Reader = (given) => {
  if (isObject(given)) {
    const ms = long(given["$numberLong"]);
    const found = new Date(Long.isLong(ms) ? ms.toNumber() : Number.NaN);
    return Object.keys(given).length === 1 && !Number.isNaN(found.getTime()) ? found : undefined;
  }
  const said = text(given);
  return ISO_DATE.test(said) && isDay(said.slice(0, 10)) && !Number.isNaN(Date.parse(said))
    ? new Date(said)
    : undefined;
};

const whole = (given: unknown, bits: number): bigint | undefined => {
  if (!/^-?\d+$/.test(text(given))) return undefined;
  const value = BigInt(text(given));
  return BigInt.asIntN(bits, value) === value ? value : undefined;
};

const long: Reader = (given) => {
  const value = whole(given, 64);
  return value === undefined ? undefined : Long.fromBigInt(value);
};

const int: Reader = (given) => {
  const value = whole(given, 32);
  return value === undefined ? undefined : new Int32(Number(value));
};

const double: Reader = (given) => {
  const special = /^(-?Infinity|NaN)$/.test(text(given));
  return special || /^[+-]?\d+(\.\d*)?([eE][+-]?\d+)?$/.test(text(given)) ? new Double(Number(given)) : undefined;
};

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

const binary: Reader = (given) => {
  if (!isObject(given) || Object.keys(given).length !== 2) return undefined;
  const { base64, subType } = given;
  if (typeof base64 !== "string" || !BASE64.test(base64) || !/^[0-9a-f]{1,2}$/i.test(text(subType))) return undefined;
  const kind = Number.parseInt(text(subType), 16);
  // The old subtype has a second length inside, which libraries add or not.
  return kind === Binary.SUBTYPE_BYTE_ARRAY ? undefined : new Binary(Buffer.from(base64, "base64"), kind);
};

const isUint32 = (value: unknown): value is number => typeof value === "number" && value >>> 0 === value;

const timestamp: Reader = (given) => {
  if (!isObject(given) || Object.keys(given).length !== 2) return undefined;
  const { t, i } = given;
  return isUint32(t) && isUint32(i) ? new Timestamp({ t, i }) : undefined;
};

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

const READERS: ReadonlyMap<string, Readonly<{ read: Reader; form: string }>> = new Map([
  ["$date", { read: date, form: '"2020-01-31T12:00:00Z" (with its zone), or {$numberLong: "milliseconds"}' }],
  [
    "$oid",
    {
      read: (given) => (/^[0-9a-f]{24}$/i.test(text(given)) ? new ObjectId(text(given)) : undefined),
      form: "24 hexadecimal digits",
    },
  ],
  [
    "$uuid",
    {
      read: (given) =>
        UUID.test(text(given))
          ? new Binary(Buffer.from(text(given).replaceAll("-", ""), "hex"), Binary.SUBTYPE_UUID)
          : undefined,
      form: "a UUID",
    },
  ],
  ["$binary", { read: binary, form: '{base64: "…", subType: "00"} (not subtype 02)' }],
  ["$timestamp", { read: timestamp, form: "{t: seconds, i: ordinal}" }],
  ["$numberInt", { read: int, form: "the text of an integer of 32 bits" }],
  ["$numberLong", { read: long, form: "the text of an integer of 64 bits" }],
  ["$numberDouble", { read: double, form: "the text of a number" }],
  [
    "$numberDecimal",
    {
      read: (given) => (parseDecimal(text(given)) === undefined ? undefined : Decimal128.fromString(text(given))),
      form: "the text of a number of at most 34 digits",
    },
  ],
]);

/** Is this one of Extended JSON's types, as `{ "$oid": … }`, and no operator? */
export const isConstant = (given: unknown): boolean => isObject(given) && READERS.has(Object.keys(given)[0] ?? "");

const number = (given: number, where: string): unknown => {
  if (Number.isInteger(given) && !Number.isSafeInteger(given))
    refuseWhere(`${where}: ${given} may have lost digits; write {$numberLong: "…"}, or {$numberDouble: "…"}`);
  // The type does not matter to a comparison, only the value.
  return given;
};

const IS_INDEX = /^(0|[1-9]\d*)$/;

const document = (given: Readonly<Record<string, unknown>>, where: string): unknown => {
  const names = Object.keys(given);
  const [first = ""] = names;
  const reader = READERS.get(first);
  if (reader !== undefined && names.length === 1)
    return reader.read(given[first]) ?? refuseWhere(`${where}: ${first} needs ${reader.form}`);
  const dollar = names.find((name) => name.startsWith("$"));
  if (dollar !== undefined) refuseWhere(`${where}: ${dollar} inside of a value is not an operator; use a dotted path`);
  if (names.length > 1 && names.some((name) => IS_INDEX.test(name)))
    refuseWhere(`${where}: names that are numbers lose their order in a value; use dotted paths`);
  if (names.some((name) => name.includes("\0"))) refuseWhere(`${where}: a name cannot contain a zero byte`);
  return Object.fromEntries(names.map((name) => [name, value(given[name], where)]));
};

/** A value for the serializer. */
const value = (given: unknown, where: string): unknown => {
  if (typeof given === "number") return number(given, where);
  if (typeof given === "string" && !given.isWellFormed()) refuseWhere(`${where}: the text is not valid Unicode`);
  if (Array.isArray(given)) return given.map((item) => value(item, where));
  if (isObject(given)) return document(given, where);
  if (given === undefined) refuseWhere(`${where}: a value is missing`);
  return given;
};

/** A value of the configuration where it lies as BSON. `where`: the field, for the sentence. @throws FERRY_CONFIG */
export const constant = (given: unknown, where: string): Element => {
  const cursor = new Cursor();
  cursor.open(BSON.serialize({ v: value(given, where) }));
  cursor.next();
  return cursor;
};
