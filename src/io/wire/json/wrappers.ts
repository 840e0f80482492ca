import { parseDecimal, writeDecimal } from "#base/bson/decimal.ts";
import { BsonType } from "#base/bson/walk.ts";
import { BsonWriter } from "#base/bson/writer.ts";
import {
  isNumberLiteral,
  parseBase64,
  parseDouble,
  parseInt32,
  parseInt64,
  parseIsoDate,
  parseObjectId,
  parseSubType,
  parseUuid,
} from "./scalars.ts";
import { copyString, endOf, type Member, membersOf, OPEN_OBJECT, QUOTE } from "./scan.ts";

/**
 * Type wrappers of extended JSON: `{"$oid": "…"}` and its kin. Recognised are the forms of the specification
 * (https://github.com/mongodb/specifications, Extended JSON 2) and, in records of the legacy dialect, those of the
 * connector's DefaultJson. An object must have exactly the wrapper's keys, in any order, with values of the right kind;
 * otherwise it is a plain subdocument. The specification would refuse it there, but `$`-prefixed names are legal in
 * stored documents, and a migration has to carry them.
 */

export type WrapperContext = Readonly<{
  text: Buffer;
  out: BsonWriter;
  /** May this record's `$binary`/`$type`, `$regex`/`$options` and numeric `$date` be wrappers? */
  legacy: () => boolean;
  /** Transcodes the object at a position as a document; the position after it, or -1. */
  document: (at: number) => number;
}>;

/** Writes the value and answers its type, or -1 where the members are not the wrapper's after all. */
type Handler = (context: WrapperContext, members: readonly Member[]) => number;

const scratch = new BsonWriter(64);

/** What a JSON string says, or undefined where the member is no string. */
const textOf = (text: Buffer, member: Member | undefined): string | undefined => {
  if (member === undefined || text[member.start] !== QUOTE) return undefined;
  scratch.reset();
  if (copyString(text, member.start, scratch) < 0) return undefined;
  return scratch.bytes.toString("utf8", 0, scratch.length);
};

const wordOf = (text: Buffer, member: Member | undefined): string =>
  member === undefined ? "" : text.toString("latin1", member.start, member.end);

const named = (members: readonly Member[], name: string): Member | undefined =>
  members.find((member) => member.name === name);

/** The two members of an inner object, where these and no others are its keys. */
const pairOf = (
  text: Buffer,
  member: Member | undefined,
  first: string,
  second: string,
): readonly [Member, Member] | undefined => {
  if (member === undefined || text[member.start] !== OPEN_OBJECT) return undefined;
  const inner = membersOf(text, member.start, 2);
  const one = inner && named(inner, first);
  const two = inner && named(inner, second);
  return one !== undefined && two !== undefined ? [one, two] : undefined;
};

/** Appends a BSON string (length, text, zero) with what a JSON string member says. */
const putString = ({ text, out }: WrapperContext, member: Member): boolean => {
  if (text[member.start] !== QUOTE) return false;
  const at = out.open();
  if (copyString(text, member.start, out) < 0) return false;
  out.byte(0);
  out.putInt32(at, out.length - at - 4);
  return true;
};

const putCString = (out: BsonWriter, value: string): void => {
  out.text(value);
  out.byte(0);
};

const OLD_BINARY = 2;

const putBinary = (out: BsonWriter, subType: number | undefined, bytes: Buffer | undefined): number => {
  if (subType === undefined || bytes === undefined) return -1;
  const old = subType === OLD_BINARY;
  out.rawInt32(old ? bytes.length + 4 : bytes.length);
  out.byte(subType);
  // Subtype 2 repeats its length inside; extended JSON leaves that out.
  if (old) out.rawInt32(bytes.length);
  out.raw(bytes);
  return BsonType.binary;
};

const putRegex = (out: BsonWriter, pattern: string | undefined, options: string | undefined): number => {
  if (pattern === undefined || options === undefined || pattern.includes("\0") || options.includes("\0")) return -1;
  putCString(out, pattern);
  putCString(out, options);
  return BsonType.regex;
};

const single =
  <T>(type: number, parse: (text: string) => T | undefined, put: (out: BsonWriter, value: T) => void): Handler =>
  ({ text, out }, members) => {
    const spelled = textOf(text, members[0]);
    const value = members.length === 1 && spelled !== undefined ? parse(spelled) : undefined;
    if (value === undefined) return -1;
    put(out, value);
    return type;
  };

/** A wrapper whose one value is the same word always. */
const fixed =
  (type: number, word: string): Handler =>
  ({ text }, members) =>
    members.length === 1 && wordOf(text, members[0]) === word ? type : -1;

const binary: Handler = (context, members) => {
  const { text, out } = context;
  const value = named(members, "$binary");
  if (members.length === 1) {
    const pair = pairOf(text, value, "base64", "subType");
    if (pair === undefined) return -1;
    return putBinary(out, parseSubType(textOf(text, pair[1]) ?? ""), parseBase64(textOf(text, pair[0]) ?? "?"));
  }
  const subType = textOf(text, named(members, "$type"));
  if (subType === undefined || !context.legacy()) return -1;
  return putBinary(out, parseSubType(subType), parseBase64(textOf(text, value) ?? "?"));
};

const legacyRegex: Handler = (context, members) => {
  const pattern = textOf(context.text, named(members, "$regex"));
  const options = textOf(context.text, named(members, "$options"));
  return pattern !== undefined && options !== undefined && context.legacy()
    ? putRegex(context.out, pattern, options)
    : -1;
};

const regularExpression: Handler = ({ text, out }, members) => {
  const pair = members.length === 1 ? pairOf(text, members[0], "pattern", "options") : undefined;
  return pair === undefined ? -1 : putRegex(out, textOf(text, pair[0]), textOf(text, pair[1]));
};

/** An unsigned 32-bit number; a negative one is the same bits read as signed, as some writers do. */
const wordOfTime = (spelled: string): number | undefined => {
  const value = isNumberLiteral(spelled) ? parseInt64(spelled) : undefined;
  return value !== undefined && value >= -(2n ** 31n) && value < 2n ** 32n ? Number(value) | 0 : undefined;
};

const timestamp: Handler = ({ text, out }, members) => {
  const pair = members.length === 1 ? pairOf(text, members[0], "t", "i") : undefined;
  if (pair === undefined) return -1;
  const seconds = wordOfTime(wordOf(text, pair[0]));
  const increment = wordOfTime(wordOf(text, pair[1]));
  if (seconds === undefined || increment === undefined) return -1;
  out.rawInt32(increment);
  out.rawInt32(seconds);
  return BsonType.timestamp;
};

const dateOf = (context: WrapperContext, member: Member): bigint | undefined => {
  const { text } = context;
  const byte = text[member.start];
  if (byte === OPEN_OBJECT) {
    const inner = membersOf(text, member.start, 1);
    const spelled = inner?.[0]?.name === "$numberLong" ? textOf(text, inner[0]) : undefined;
    return spelled === undefined ? undefined : parseInt64(spelled);
  }
  if (byte === QUOTE) {
    const millis = parseIsoDate(textOf(text, member) ?? "");
    return millis === undefined ? undefined : BigInt(millis);
  }
  const word = wordOf(text, member);
  return isNumberLiteral(word) && context.legacy() ? parseInt64(word) : undefined;
};

const date: Handler = (context, members) => {
  const [member] = members;
  const millis = member !== undefined && members.length === 1 ? dateOf(context, member) : undefined;
  if (millis === undefined) return -1;
  context.out.rawInt64(millis);
  return BsonType.date;
};

const symbol: Handler = (context, members) => {
  const [member] = members;
  return member !== undefined && members.length === 1 && putString(context, member) ? BsonType.symbol : -1;
};

const code: Handler = (context, members) => {
  const value = named(members, "$code");
  const scope = named(members, "$scope");
  if (value === undefined) return -1;
  if (members.length === 1) return putString(context, value) ? BsonType.code : -1;
  if (scope === undefined || context.text[scope.start] !== OPEN_OBJECT) return -1;
  const { out } = context;
  const at = out.open();
  if (!putString(context, value) || context.document(scope.start) !== scope.end) return -1;
  out.putInt32(at, out.length - at);
  return BsonType.codeWithScope;
};

const dbPointer: Handler = (context, members) => {
  const { text, out } = context;
  const pair = members.length === 1 ? pairOf(text, members[0], "$ref", "$id") : undefined;
  if (pair === undefined || text[pair[1].start] !== OPEN_OBJECT) return -1;
  const inner = membersOf(text, pair[1].start, 1);
  const id = inner?.[0]?.name === "$oid" ? parseObjectId(textOf(text, inner[0]) ?? "") : undefined;
  if (id === undefined || !putString(context, pair[0])) return -1;
  out.raw(id);
  return BsonType.dbPointer;
};

const putDecimal = (out: BsonWriter, value: NonNullable<ReturnType<typeof parseDecimal>>): void => {
  out.reserve(16);
  writeDecimal(out.bytes, out.length, value);
  out.length += 16;
};

/** Per first key of an object. A pair of keys is listed under both, since order has no meaning. */
const HANDLERS: ReadonlyMap<string, Handler> = new Map<string, Handler>([
  ["$oid", single(BsonType.objectId, parseObjectId, (out, id) => out.raw(id))],
  ["$symbol", symbol],
  ["$numberInt", single(BsonType.int32, parseInt32, (out, value) => out.rawInt32(value))],
  ["$numberLong", single(BsonType.int64, parseInt64, (out, value) => out.rawInt64(value))],
  ["$numberDouble", single(BsonType.double, parseDouble, (out, value) => out.rawDouble(value))],
  ["$numberDecimal", single(BsonType.decimal128, parseDecimal, putDecimal)],
  ["$uuid", single(BsonType.binary, parseUuid, (out, bytes) => void putBinary(out, 4, bytes))],
  ["$binary", binary],
  ["$type", binary],
  ["$code", code],
  ["$scope", code],
  ["$timestamp", timestamp],
  ["$regularExpression", regularExpression],
  ["$regex", legacyRegex],
  ["$options", legacyRegex],
  ["$dbPointer", dbPointer],
  ["$date", date],
  ["$minKey", fixed(BsonType.minKey, "1")],
  ["$maxKey", fixed(BsonType.maxKey, "1")],
  ["$undefined", fixed(BsonType.undefined, "true")],
]);

/** Longest key above, with room: a longer first key needs no look. */
const LONGEST = 24;

/** The handler for an object whose first key's quote is at `at`, if its first key is a wrapper's. */
const handlerAt = (text: Buffer, at: number): Handler | undefined => {
  if (text[at] !== QUOTE || text[at + 1] !== 0x24) return undefined;
  let end = at + 2;
  while (end - at < LONGEST && text[end] !== QUOTE) end++;
  return HANDLERS.get(text.toString("latin1", at + 1, end));
};

/**
 * Writes the wrapper that the object at `at` is, with its type into the byte at `typeAt`; `first` is where its first
 * key begins. The position after it, or -1 where it is a plain object; then nothing was written.
 */
export const writeWrapper = (context: WrapperContext, at: number, first: number, typeAt: number): number => {
  const { text, out } = context;
  const handler = handlerAt(text, first);
  const members = handler && membersOf(text, at, 2);
  if (handler === undefined || members === undefined) return -1;
  const before = out.length;
  const type = handler(context, members);
  if (type < 0) {
    out.length = before;
    return -1;
  }
  out.bytes[typeAt] = type;
  return endOf(text, members);
};
