import { createHmac } from "node:crypto";
import { canonicalValue } from "#base/bson/identity.ts";
import { BsonType, int32At } from "#base/bson/walk.ts";
import { FerryError } from "#base/errors/ferryError.ts";

/** How values are made unreadable; always into a string. Documents and arrays keep their shape, their values are masked. */
export type MaskRule =
  /** HMAC-SHA-256 in hexadecimal, keyed with the salt: what MongoDB holds to be equal stays equal, so that joins still work. */
  | Readonly<{ sha256: Readonly<{ saltEnv: string }> }>
  | Readonly<{ text: string }>
  /** The last characters of a string or number, `*` for the others; nothing of a value that they would tell whole. */
  | Readonly<{ keepLast: number }>;

/** The text that replaces a value; undefined where there is nothing to hide (null and undefined). */
export type Mask = (bytes: Uint8Array, type: number, start: number, end: number) => string | undefined;

const MIN_SALT_BYTES = 8;

const isEmpty = (type: number): boolean => type === BsonType.null || type === BsonType.undefined;

const isText = (type: number): boolean => type === BsonType.string || type === BsonType.symbol;

const buffer = (bytes: Uint8Array, start: number, end: number): Buffer =>
  Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start);

/** Strings by their text, so that others can recompute it; everything else by its canonical form: 5 and 5.0 are one. */
const hashed =
  (salt: string): Mask =>
  (bytes, type, start, end) => {
    if (isEmpty(type)) return undefined;
    const hmac = createHmac("sha256", salt);
    if (isText(type)) hmac.update(buffer(bytes, start + 4, end - 1));
    else hmac.update(Buffer.of(0)).update(canonicalValue(bytes, type, start, end), "latin1");
    return hmac.digest("hex");
  };

const plainText = (bytes: Uint8Array, type: number, start: number, end: number): string | undefined => {
  if (isText(type)) return buffer(bytes, start + 4, end - 1).toString();
  if (type === BsonType.int32) return String(int32At(bytes, start));
  if (type === BsonType.int64) return String(buffer(bytes, start, end).readBigInt64LE());
  if (type === BsonType.double) return String(buffer(bytes, start, end).readDoubleLE());
  return undefined;
};

/** What a hidden part must have for the rest not to be the whole value: a letter or a digit; zeros before a number are nothing. */
const TELLING = /[[\p{L}\p{N}]--[0]]/v;

/** Nearly always the first one tells. */
const tells = (characters: readonly string[], to: number): boolean => {
  for (let at = 0; at < to; at++) if (TELLING.test(characters[at] ?? "")) return true;
  return false;
};

const lastCharacters =
  (count: number): Mask =>
  (bytes, type, start, end) => {
    if (isEmpty(type)) return undefined;
    const text = plainText(bytes, type, start, end);
    if (text === undefined) return "***";
    const characters = [...text];
    const hidden = Math.max(0, characters.length - count);
    const from = tells(characters, hidden) ? hidden : characters.length;
    return "*".repeat(from) + characters.slice(from).join("");
  };

/** @throws FERRY_CONFIG where the salt is not set */
export const compileMask = (rule: MaskRule, path: string): Mask => {
  if ("text" in rule) return (_bytes, type) => (isEmpty(type) ? undefined : rule.text);
  if ("keepLast" in rule) return lastCharacters(rule.keepLast);
  const { saltEnv } = rule.sha256;
  const salt = process.env[saltEnv] ?? "";
  if (Buffer.byteLength(salt) < MIN_SALT_BYTES)
    throw new FerryError(
      "FERRY_CONFIG",
      `mask: ${path}: the salt in ${saltEnv} is ${salt === "" ? "not set" : `shorter than ${MIN_SALT_BYTES} bytes`}`,
    );
  return hashed(salt);
};
