import { BSON } from "bson";
import { canonicalValue } from "#base/bson/identity.ts";
import { RawValue } from "#base/bson/rawValue.ts";
import { BsonType, Cursor, int32At } from "#base/bson/walk.ts";
import { BsonWriter } from "#base/bson/writer.ts";

/**
 * What a server says of a collection or an index, by the names of its own options, with the values as the bytes they were:
 * pipelines, validators and filters go to the other server untouched.
 */
export type Options = Readonly<Record<string, RawValue>>;

/** The top level of a document, whose names are a server's own. @param document raw BSON */
export const optionsIn = (document: Uint8Array): Options => {
  const options: Record<string, RawValue> = {};
  const cursor = new Cursor();
  cursor.open(document);
  while (cursor.next()) {
    const name = Buffer.from(document.subarray(cursor.nameStart, cursor.nameEnd)).toString();
    options[name] = new RawValue(cursor.type, Buffer.from(document.subarray(cursor.valueStart, cursor.valueEnd)));
  }
  return options;
};

/** The options as one document, raw. */
export const optionsDocument = (options: Options): Buffer => Buffer.from(BSON.serialize(options));

export const pick = (options: Options, names: readonly string[]): Options =>
  Object.fromEntries(Object.entries(options).filter(([name]) => names.includes(name)));

export const without = (options: Options, ...names: readonly string[]): Options =>
  Object.fromEntries(Object.entries(options).filter(([name]) => !names.includes(name)));

/** Options of an option: of a collation, a time series. Nothing of one that is not there. */
export const optionsWithin = (value: RawValue | undefined): Options =>
  value === undefined ? {} : optionsIn(value.bytes);

export const rawText = (text: string): RawValue => {
  const bytes = Buffer.from(text);
  const length = Buffer.alloc(4);
  length.writeInt32LE(bytes.length + 1);
  return new RawValue(BsonType.string, Buffer.concat([length, bytes, Buffer.from([0])]));
};

export const rawInt32 = (value: number): RawValue => {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  return new RawValue(BsonType.int32, bytes);
};

export const rawBoolean = (value: boolean): RawValue => new RawValue(BsonType.boolean, Uint8Array.of(value ? 1 : 0));

export const rawSubdocument = (options: Options): RawValue => new RawValue(BsonType.object, optionsDocument(options));

/** A string's text, for looking; undefined for what is no string. */
export const textOf = (value: RawValue | undefined): string | undefined =>
  value?.type === BsonType.string
    ? Buffer.from(value.bytes).toString("utf8", 4, 3 + int32At(value.bytes, 0))
    : undefined;

/** Equal where two values mean the same to a server: 1, 1.0 and NumberLong(1) do. */
export const meaningOf = ({ type, bytes }: RawValue): string => canonicalValue(bytes, type, 0, bytes.length);

/** Servers spell a flag as true, 1, or not at all. */
export const isOn = (value: RawValue | undefined): boolean =>
  value !== undefined && (value.type === BsonType.boolean ? value.bytes[0] === 1 : meaningOf(value) !== "n0;");

/**
 * A document or list with other values, and other names where `change` gives some, in the same order. What is not changed stays
 * the bytes it is, names included.
 */
export const mapElements = (
  value: RawValue,
  change: (name: string, value: RawValue) => RawValue | readonly [name: string, value: RawValue],
): RawValue => {
  const cursor = new Cursor();
  const writer = new BsonWriter(value.bytes.length + 256);
  const at = writer.open();
  cursor.open(value.bytes);
  while (cursor.next()) {
    const { type, nameStart, nameEnd, valueStart, valueEnd } = cursor;
    const name = Buffer.from(value.bytes.subarray(nameStart, nameEnd)).toString();
    const given = change(name, new RawValue(type, value.bytes.subarray(valueStart, valueEnd)));
    const [newName, changed] = given instanceof RawValue ? [name, given] : given;
    writer.byte(changed.type);
    if (newName === name) writer.raw(value.bytes, nameStart, nameEnd);
    else writer.text(newName);
    writer.byte(0);
    writer.raw(changed.bytes);
  }
  writer.close(at);
  return new RawValue(value.type, writer.take());
};
