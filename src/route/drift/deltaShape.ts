import { isUtf8 } from "node:buffer";
import { BsonType, Cursor, rawValue } from "#base/bson/walk.ts";
import { BsonWriter } from "#base/bson/writer.ts";
import type { PatchEvent } from "#base/flow/types.ts";
import { doubtOf } from "#io/wire/delta.ts";

const IS_INDEX = /^\d+$/;

/**
 * A document that has the key of an update and what its delta sets, each at its place, for code that inspects shapes: a name
 * may occur twice. A path that may name another field is left out: nothing is made news of by guessing.
 */
export const deltaShape = ({ key, update }: Pick<PatchEvent, "key" | "update">): Uint8Array => {
  const writer = new BsonWriter();
  const whole = writer.open();
  writer.raw(key, 4, key.length - 1);
  const fields = rawValue(update, "updatedFields");
  const doubt = doubtOf(update);
  const cursor = new Cursor();
  if (fields !== undefined) cursor.open(fields);
  while (fields !== undefined && cursor.next()) {
    const name = fields.subarray(cursor.nameStart, cursor.nameEnd);
    const path = Buffer.from(name).toString();
    if (doubt(path) === undefined && isUtf8(name))
      nest(writer, path.split("."), cursor.type, fields.subarray(cursor.valueStart, cursor.valueEnd));
  }
  writer.close(whole);
  return writer.take();
};

const nest = (writer: BsonWriter, path: readonly string[], type: number, value: Uint8Array): void => {
  const [name = "", ...rest] = path;
  const [next] = rest;
  if (next === undefined) {
    writer.value(type, name, value);
    return;
  }
  writer.element(IS_INDEX.test(next) ? BsonType.array : BsonType.object, name);
  const inner = writer.open();
  nest(writer, rest, type, value);
  writer.close(inner);
};
