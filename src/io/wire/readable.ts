import { bsonText } from "#base/bson/text.ts";
import { isDocument, validate } from "#base/bson/walk.ts";

export type ReadableOptions = Readonly<{
  /** At most this many characters, then an ellipsis. No limit by default. */
  limit?: number;
}>;

const cut = (text: string, limit: number): string => (text.length > limit ? `${text.slice(0, limit)}…` : text);

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

const textOf = (bytes: Uint8Array): string | undefined => {
  try {
    return strict.decode(bytes);
  } catch {
    return undefined;
  }
};

/** Control characters would move a terminal's cursor, or worse; line breaks would break "one record, one line". */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g;

const escapeControl = (character: string): string => {
  if (character === "\n") return "\\n";
  if (character === "\r") return "\\r";
  if (character === "\t") return "\\t";
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
};

/**
 * One line for people from a record's key or value: BSON as relaxed extended JSON, text as it is with control
 * characters escaped, anything else in hexadecimal behind `0x`; null as `NULL`. Never throws.
 */
export const readable = (bytes: Uint8Array | null, options: ReadableOptions = {}): string => {
  const limit = options.limit ?? Infinity;
  if (bytes === null) return "NULL";
  if (isDocument(bytes) && validate(bytes) === undefined) return cut(bsonText(bytes, { limit }), limit);
  // UTF-8 takes at most four bytes for a character; the rest of a long record need not be read.
  const shown = limit === Infinity ? bytes : bytes.subarray(0, limit * 4 + 4);
  const text = textOf(shown) ?? (shown.length < bytes.length ? textOf(wholeCharacters(shown)) : undefined);
  if (text !== undefined) return cut(text.replace(CONTROL, escapeControl), limit);
  return cut(`0x${Buffer.from(shown.buffer, shown.byteOffset, shown.byteLength).toString("hex")}`, limit);
};

/** Without the last character, which the cut may have divided. */
const wholeCharacters = (bytes: Uint8Array): Uint8Array => {
  let end = bytes.length;
  while (end > 0 && ((bytes[end - 1] as number) & 0xc0) === 0x80) end--;
  return bytes.subarray(0, Math.max(0, end - 1));
};
