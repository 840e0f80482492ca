import type { BsonWriter } from "#base/bson/writer.ts";

/**
 * Finding one's way in JSON text as bytes, without building values. Positions are byte offsets; -1 says that the text
 * there is not what was looked for.
 */

export const QUOTE = 0x22;
export const BACKSLASH = 0x5c;
export const OPEN_OBJECT = 0x7b;
export const CLOSE_OBJECT = 0x7d;
export const OPEN_ARRAY = 0x5b;
export const CLOSE_ARRAY = 0x5d;
export const COMMA = 0x2c;
export const COLON = 0x3a;

/** The first position at or after `at` that is not white space. */
export const skipSpace = (text: Uint8Array, at: number): number => {
  let i = at;
  for (let byte = text[i]; byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09; byte = text[i]) i++;
  return i;
};

/** `at` is an opening quote: the position after the closing one, or -1. */
export const skipString = (text: Uint8Array, at: number): number => {
  for (let i = at + 1; i < text.length; i++) {
    const byte = text[i];
    if (byte === QUOTE) return i + 1;
    if (byte === BACKSLASH) i++;
  }
  return -1;
};

/** The position after the object or array that opens at `at`, or -1. Counts brackets; their grammar is for the parser. */
const skipNested = (text: Uint8Array, at: number): number => {
  let depth = 0;
  for (let i = at; i < text.length; i++) {
    const byte = text[i];
    if (byte === QUOTE) {
      i = skipString(text, i) - 1;
      if (i < 0) return -1;
    } else if (byte === OPEN_OBJECT || byte === OPEN_ARRAY) depth++;
    else if ((byte === CLOSE_OBJECT || byte === CLOSE_ARRAY) && --depth === 0) return i + 1;
  }
  return -1;
};

const isWordByte = (byte: number | undefined): boolean =>
  byte !== undefined && byte > 0x20 && byte !== COMMA && byte !== CLOSE_OBJECT && byte !== CLOSE_ARRAY;

/** The position after a number or a word such as true, null, NaN. */
export const skipWord = (text: Uint8Array, at: number): number => {
  let i = at;
  while (isWordByte(text[i])) i++;
  return i === at ? -1 : i;
};

/** The position after the value that begins at `at`, or -1. */
export const skipValue = (text: Uint8Array, at: number): number => {
  const byte = text[at];
  if (byte === QUOTE) return skipString(text, at);
  if (byte === OPEN_OBJECT || byte === OPEN_ARRAY) return skipNested(text, at);
  return skipWord(text, at);
};

/** One member of a small object: its name as spelled, and where its value lies. */
export type Member = Readonly<{ name: string; start: number; end: number }>;

/**
 * The members of the object that opens at `at`, or undefined where it has none, more than `most`, or is malformed.
 * Values are skipped, not read, so a caller may look before it parses without parsing anything twice.
 */
export const membersOf = (text: Buffer, at: number, most: number): readonly Member[] | undefined => {
  const members: Member[] = [];
  let i = skipSpace(text, at + 1);
  for (;;) {
    if (text[i] !== QUOTE || members.length === most) return undefined;
    const nameEnd = skipString(text, i);
    if (nameEnd < 0) return undefined;
    const colon = skipSpace(text, nameEnd);
    if (text[colon] !== COLON) return undefined;
    const start = skipSpace(text, colon + 1);
    const end = skipValue(text, start);
    if (end < 0) return undefined;
    members.push({ name: text.toString("latin1", i + 1, nameEnd - 1), start, end });
    i = skipSpace(text, end);
    if (text[i] === CLOSE_OBJECT) return members;
    if (text[i] !== COMMA) return undefined;
    i = skipSpace(text, i + 1);
  }
};

/** The end of the object that these are all members of. */
export const endOf = (text: Uint8Array, members: readonly Member[]): number =>
  skipSpace(text, members[members.length - 1]?.end ?? 0) + 1;

/** The value of a hexadecimal digit, or -1. */
export const hexDigit = (byte: number | undefined): number => {
  if (byte === undefined) return -1;
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
};

const hex4 = (text: Uint8Array, at: number): number => {
  let value = 0;
  for (let i = 0; i < 4; i++) {
    const digit = hexDigit(text[at + i]);
    if (digit < 0) return -1;
    value = value * 16 + digit;
  }
  return value;
};

const putCodePoint = (out: BsonWriter, point: number): void => {
  if (point < 0x80) out.byte(point);
  else if (point < 0x800) {
    out.byte(0xc0 | (point >> 6));
    out.byte(0x80 | (point & 0x3f));
  } else if (point < 0x10000) {
    out.byte(0xe0 | (point >> 12));
    out.byte(0x80 | ((point >> 6) & 0x3f));
    out.byte(0x80 | (point & 0x3f));
  } else {
    out.byte(0xf0 | (point >> 18));
    out.byte(0x80 | ((point >> 12) & 0x3f));
    out.byte(0x80 | ((point >> 6) & 0x3f));
    out.byte(0x80 | (point & 0x3f));
  }
};

const REPLACEMENT = 0xfffd;

/** `at` is after `\u`. Joins surrogate pairs; a lone half becomes U+FFFD, since UTF-8 has no form for it. */
const copyUnicode = (text: Uint8Array, at: number, out: BsonWriter): number => {
  const unit = hex4(text, at);
  if (unit < 0) return -1;
  if (unit < 0xd800 || unit > 0xdfff) {
    putCodePoint(out, unit);
    return at + 4;
  }
  const low = text[at + 4] === BACKSLASH && text[at + 5] === 0x75 ? hex4(text, at + 6) : -1;
  if (unit <= 0xdbff && low >= 0xdc00 && low <= 0xdfff) {
    putCodePoint(out, 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00));
    return at + 10;
  }
  putCodePoint(out, REPLACEMENT);
  return at + 4;
};

const ESCAPES: Readonly<Record<number, number>> = {
  34: 0x22,
  92: 0x5c,
  47: 0x2f,
  98: 0x08,
  102: 0x0c,
  110: 0x0a,
  114: 0x0d,
  116: 0x09,
};

/**
 * `at` is an opening quote: appends what the string says, as UTF-8, to `out`. The position after the closing quote,
 * or -1 where the string does not end, has a raw control character or an unknown escape.
 */
export const copyString = (text: Uint8Array, at: number, out: BsonWriter): number => {
  let run = at + 1;
  let i = run;
  for (;;) {
    const byte = text[i];
    if (byte === undefined || byte < 0x20) return -1;
    if (byte === QUOTE) {
      out.raw(text, run, i);
      return i + 1;
    }
    if (byte !== BACKSLASH) {
      i++;
      continue;
    }
    out.raw(text, run, i);
    const escaped = text[i + 1] ?? 0;
    if (escaped === 0x75) {
      i = copyUnicode(text, i + 2, out);
      if (i < 0) return -1;
    } else {
      const meant = ESCAPES[escaped];
      if (meant === undefined) return -1;
      out.byte(meant);
      i += 2;
    }
    run = i;
  }
};
