import { identityOf } from "#base/bson/identity.ts";
import { Cursor } from "#base/bson/walk.ts";
import { BsonWriter } from "#base/bson/writer.ts";

export const ID = Buffer.from("_id");

const cursor = new Cursor();
const writer = new BsonWriter(256);

/** `{ _id }` of a document, raw. The server keeps `_id` first, but need not have. */
export const documentKeyOf = (document: Uint8Array): Uint8Array => {
  cursor.open(document);
  if (!cursor.seek(ID)) return document;
  const { type, valueStart, valueEnd } = cursor;
  const at = writer.open();
  writer.value(type, "_id", document, valueStart, valueEnd);
  writer.close(at);
  return writer.take();
};

/** Has the document the `_id` of this documentKey, as the server compares them without a collation? */
export const isOf = (document: Uint8Array, documentKey: Uint8Array): boolean => {
  const end = documentKey.length - 1; // behind it is nothing but the closing zero
  let at = 4;
  while (at < end && document[at] === documentKey[at]) at++;
  return at === end || identityOf(document) === identityOf(documentKey);
};
