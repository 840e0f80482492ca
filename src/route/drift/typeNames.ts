import { BsonType } from "#base/bson/walk.ts";

/** Type names as `$type` spells them. Source: MongoDB manual, "BSON Types". */
const NAMES: Readonly<Record<number, string>> = {
  [BsonType.double]: "double",
  [BsonType.string]: "string",
  [BsonType.object]: "object",
  [BsonType.array]: "array",
  [BsonType.binary]: "binData",
  [BsonType.undefined]: "undefined",
  [BsonType.objectId]: "objectId",
  [BsonType.boolean]: "bool",
  [BsonType.date]: "date",
  [BsonType.null]: "null",
  [BsonType.regex]: "regex",
  [BsonType.dbPointer]: "dbPointer",
  [BsonType.code]: "javascript",
  [BsonType.symbol]: "symbol",
  [BsonType.codeWithScope]: "javascriptWithScope",
  [BsonType.int32]: "int",
  [BsonType.timestamp]: "timestamp",
  [BsonType.int64]: "long",
  [BsonType.decimal128]: "decimal",
  [BsonType.maxKey]: "maxKey",
  [BsonType.minKey]: "minKey",
};

const BYTES: ReadonlyMap<string, number> = new Map(Object.entries(NAMES).map(([byte, name]) => [name, Number(byte)]));

export const typeName = (byte: number): string => NAMES[byte] ?? `0x${byte.toString(16)}`;

/** The type byte of a name; undefined for a name that no type has. */
export const typeByte = (name: string): number | undefined => BYTES.get(name);
