/**
 * Names of fields as text, one for each: servers keep names of bytes that are no UTF-8, and a lenient decoder makes one text of all of
 * them. Such a byte is written as `\xff` here, and a backslash before an `x` as `\x5c`.
 */

const LENIENT = "\uFFFD";
const ESCAPED = /\\x([0-9a-f]{2})/g;
const STRICT = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

const escaped = (byte: number): string => `\\x${byte.toString(16).padStart(2, "0")}`;

/** The character whose bytes begin here; undefined where they are no UTF-8. */
const characterAt = (bytes: Uint8Array, at: number): string | undefined => {
  for (let length = 1; length <= 4; length++) {
    try {
      return STRICT.decode(bytes.subarray(at, at + length));
    } catch {} // not with so few bytes
  }
  return undefined;
};

const spelled = (bytes: Uint8Array): string => {
  let text = "";
  for (let at = 0; at < bytes.length; ) {
    const character = characterAt(bytes, at);
    const isBackslash = character === "\\" && bytes[at + 1] === 0x78;
    text += character === undefined || isBackslash ? escaped(bytes[at] as number) : character;
    at += Buffer.byteLength(character ?? "?");
  }
  return text;
};

/** A name's text; other bytes, other text. */
export const nameText = (bytes: Uint8Array, start = 0, end = bytes.length): string => {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString();
  return text.includes(LENIENT) || text.includes("\\x") ? spelled(bytes.subarray(start, end)) : text;
};

/** The name that a text of `nameText` stands for. */
export const nameBytes = (text: string): Buffer => {
  if (!text.includes("\\x")) return Buffer.from(text);
  const parts = text.split(ESCAPED); // every second one is the digits of a byte
  return Buffer.concat(parts.map((part, i) => (i % 2 === 0 ? Buffer.from(part) : Buffer.from(part, "hex"))));
};
