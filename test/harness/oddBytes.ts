import type { RawValue } from "#base/bson/rawValue.ts";
import { BsonType } from "#base/bson/walk.ts";

/** BSON spelled by hand: names and strings that no JavaScript object holds. */
export type Part = readonly [type: number, name: string | Buffer, value: Uint8Array];

export const int32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  return bytes;
};

export const int64 = (value: bigint): Buffer => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64LE(value);
  return bytes;
};

export const double = (value: number): Buffer => {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleLE(value);
  return bytes;
};

export const string = (value: string | Buffer): Buffer => {
  const text = Buffer.from(value as Buffer);
  return Buffer.concat([int32(text.length + 1), text, Buffer.from([0])]);
};

/** A document, or an array, of these elements in this order. */
export const documentOfParts = (...parts: readonly Part[]): Buffer => {
  const body = Buffer.concat(
    parts.flatMap(([type, name, value]) => [Buffer.from([type]), Buffer.from(name as Buffer), Buffer.from([0]), value]),
  );
  return Buffer.concat([int32(body.length + 5), body, Buffer.from([0])]);
};

export const key = (type: number, value: Uint8Array): Buffer => documentOfParts([type, "_id", value]);

export const keyOf = ({ type, bytes }: RawValue): Buffer => key(type, bytes);

/** Not UTF-8, as old drivers stored it. */
export const LATIN1 = Buffer.from([0x4d, 0xfc, 0x6c, 0x6c, 0x65, 0x72]);

const nested = (n: number): Buffer =>
  documentOfParts(
    [BsonType.object, "2024", documentOfParts([BsonType.int32, "10", int32(n)], [BsonType.string, "9", string("x")])],
    [BsonType.array, "1", documentOfParts([BsonType.int32, "0", int32(n)], [BsonType.string, "1", string(LATIN1)])],
    [BsonType.double, "b", double(-0)],
  );

const numbered = (n: number, ...parts: readonly Part[]): Buffer =>
  key(BsonType.object, documentOfParts(...parts, [BsonType.int32, "n", int32(n)]));

/** A NaN with a payload; Decimal128 1.0, which is 1 to a server and other bytes. */
const NAN = Buffer.from("0100000000f8ff7f", "hex");
const DECIMAL = Buffer.from("0a000000000000000000000000003e30", "hex");

/** `{ _id }` of every kind that a decoder changes: order, text, type, or precision. All are different to a server. */
const kinds = (n: number): Buffer[] => [
  key(BsonType.object, documentOfParts([BsonType.int32, "10", int32(n)], [BsonType.int32, "9", int32(1)])),
  key(BsonType.object, documentOfParts([BsonType.int32, "b", int32(n)], [BsonType.int32, "1", int32(2)])),
  key(BsonType.object, nested(n)),
  numbered(n, [BsonType.string, LATIN1, string(LATIN1)]),
  numbered(n, [BsonType.decimal128, "d", DECIMAL]),
  numbered(n, [BsonType.double, "nan", NAN]),
  numbered(n, [BsonType.double, "zero", double(-0)]),
  numbered(n, [BsonType.int64, "large", int64(9_007_199_254_740_993n)]),
  numbered(n, [BsonType.regex, "r", Buffer.from("^a\0i\0")]),
  key(BsonType.object, documentOfParts([BsonType.string, "$ref", string("users")], [BsonType.int32, "$id", int32(n)])),
  key(BsonType.string, string(Buffer.concat([LATIN1, Buffer.from(String(n))]))),
  key(BsonType.string, string(`plain ${n}`)),
  key(BsonType.symbol, string(`symbol ${n}`)),
  key(BsonType.int64, int64(9_007_199_254_740_993n + BigInt(n))),
  key(BsonType.int64, int64(BigInt(n))),
  key(BsonType.double, double(n + 0.5)),
  key(BsonType.binary, Buffer.concat([int32(4), Buffer.from([0x80]), int32(n)])),
  key(BsonType.date, int64(BigInt(-1 - n))),
  key(BsonType.timestamp, int64(BigInt(n + 1) << 32n)),
  key(BsonType.code, string(`f(${n})`)),
];

/** So many of each kind. */
export const oddIds = (count = 3): Buffer[] => Array.from({ length: count }, (_, n) => kinds(n)).flat();

/** The document of this key with one more field. */
export const withField = (documentKey: Uint8Array, name: string, value: number): Buffer => {
  const element = Buffer.concat([Buffer.from([BsonType.int32]), Buffer.from(`${name}\0`), int32(value)]);
  const body = Buffer.concat([documentKey.subarray(4, -1), element]);
  return Buffer.concat([int32(body.length + 5), body, Buffer.from([0])]);
};
