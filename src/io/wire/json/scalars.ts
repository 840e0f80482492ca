/** Scalars as extended JSON spells them. Undefined says that the text is no such thing. */

const INT64_MIN = -(2n ** 63n);
const INT64_MAX = 2n ** 63n - 1n;

const INTEGER = /^-?\d+$/;
const DOUBLE = /^-?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;
const LITERAL = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;

/** A decimal integer in the range of int32. */
export const parseInt32 = (text: string): number | undefined => {
  if (!INTEGER.test(text) || text.length > 20) return undefined;
  const value = Number(text);
  return value === (value | 0) ? value | 0 : undefined;
};

/** A decimal integer in the range of int64. */
export const parseInt64 = (text: string): bigint | undefined => {
  if (!INTEGER.test(text) || text.length > 40) return undefined;
  const value = BigInt(text);
  return value >= INT64_MIN && value <= INT64_MAX ? value : undefined;
};

/** A decimal number, `NaN`, `Infinity` or `-Infinity`. */
export const parseDouble = (text: string): number | undefined => {
  if (text === "NaN") return Number.NaN;
  if (text === "Infinity") return Infinity;
  if (text === "-Infinity") return -Infinity;
  return DOUBLE.test(text) ? Number(text) : undefined;
};

/** Is this a number as JSON writes it? */
export const isNumberLiteral = (text: string): boolean => LITERAL.test(text);

const ISO = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?(?:Z|([+-])(\d\d):?(\d\d))$/i;

/**
 * Milliseconds since the epoch of an RFC 3339 date. Further digits than milliseconds are cut off; a day or time that
 * does not exist is no date.
 */
export const parseIsoDate = (text: string): number | undefined => {
  const parts = ISO.exec(text);
  if (parts === null) return undefined;
  const [, year, month, day, hour, minute, second = "0", fraction = "", sign, zoneHours = "0", zoneMinutes = "0"] =
    parts;
  const date = new Date(0);
  date.setUTCFullYear(Number(year), Number(month) - 1, Number(day));
  if (date.getUTCMonth() !== Number(month) - 1 || date.getUTCDate() !== Number(day)) return undefined;
  if (Number(hour) > 23 || Number(minute) > 59 || Number(second) > 59) return undefined;
  const millis = Number(fraction.slice(0, 3).padEnd(3, "0"));
  const zone = (Number(zoneHours) * 60 + Number(zoneMinutes)) * (sign === "-" ? -1 : 1);
  return date.getTime() + ((Number(hour) * 60 + Number(minute) - zone) * 60 + Number(second)) * 1000 + millis;
};

const NOT_BASE64 = /[^A-Za-z0-9+/=]/;

/** Bytes of padded base64 text. */
export const parseBase64 = (text: string): Buffer | undefined => {
  if (text.length % 4 !== 0 || NOT_BASE64.test(text)) return undefined;
  const bytes = Buffer.from(text, "base64");
  const padding = text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0;
  // The runtime's decoder silently stops at a misplaced "="; the length shows it.
  return bytes.length === (text.length / 4) * 3 - padding ? bytes : undefined;
};

const HEX24 = /^[0-9a-fA-F]{24}$/;
const UUID = /^[0-9a-fA-F]{8}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{12}$/;
const SUBTYPE = /^[0-9a-fA-F]{1,2}$/;

export const parseObjectId = (text: string): Buffer | undefined =>
  HEX24.test(text) ? Buffer.from(text, "hex") : undefined;

export const parseUuid = (text: string): Buffer | undefined =>
  UUID.test(text) ? Buffer.from(text.replaceAll("-", ""), "hex") : undefined;

export const parseSubType = (text: string): number | undefined =>
  SUBTYPE.test(text) ? Number.parseInt(text, 16) : undefined;
