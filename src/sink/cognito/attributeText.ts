import { BSON } from "bson";
import { documentOf, head } from "#base/bson/documentParts.ts";
import type { RawValue } from "#base/bson/rawValue.ts";
import { BsonType } from "#base/bson/walk.ts";
import { typeName } from "#route/drift/typeNames.ts";

/** Text of an attribute, undefined for no value; `flaw` says why there is none. */
export type AttributeText = Readonly<{ text: string | undefined } | { flaw: string }>;

const UUID = 4;
const PROMOTED = { promoteValues: true, promoteLongs: false, validation: { utf8: false } } as const;

const decoded = ({ type, bytes }: RawValue): unknown =>
  BSON.deserialize(documentOf(head(type, "v"), bytes), PROMOTED)["v"];

/** A date as an attribute of this name and type takes it: seconds as a number, a day as a birthdate, else ISO 8601. */
const dateText = (date: Date, name: string, type: string): string => {
  if (type === "Number") return String(Math.floor(date.getTime() / 1000));
  const iso = date.toISOString();
  return name === "birthdate" ? iso.slice(0, 10) : iso;
};

const uuidText = (bytes: Uint8Array): string =>
  Buffer.from(bytes)
    .toString("hex")
    .replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");

const shown = (value: RawValue, name: string, type: string): string | undefined => {
  switch (value.type) {
    case BsonType.string:
    case BsonType.symbol:
    case BsonType.int32:
    case BsonType.int64:
    case BsonType.double:
    case BsonType.decimal128:
    case BsonType.boolean:
    case BsonType.objectId:
      return String(decoded(value));
    case BsonType.date: {
      const date = decoded(value) as Date;
      return Number.isNaN(date.getTime()) ? undefined : dateText(date, name, type);
    }
    case BsonType.binary:
      return value.bytes[4] === UUID ? uuidText(value.bytes.subarray(5)) : undefined;
    default:
      return undefined;
  }
};

/** Missing, or null. */
export const isNothing = (value: RawValue | undefined): value is undefined =>
  value === undefined || value.type === BsonType.null || value.type === BsonType.undefined;

/**
 * A document's value as the text that Cognito keeps. Nothing, null and "" are no value: Cognito takes a blank one as none.
 * @param type the attribute's type in the pool
 */
export const attributeText = (value: RawValue | undefined, name: string, type: string): AttributeText => {
  if (isNothing(value)) return { text: undefined };
  const text = shown(value, name, type);
  if (text === undefined) return { flaw: `a value of type ${typeName(value.type)} has no text` };
  return { text: text === "" ? undefined : text };
};
