import { identityOf } from "#base/bson/identity.ts";
import { bsonText } from "#base/bson/text.ts";
import { FerryError } from "#base/errors/ferryError.ts";
import { Transcoder } from "#io/wire/json/transcode.ts";

/** A raw documentKey with this `_id`, given as extended JSON. @throws FERRY_USAGE */
export const keyBytes = (key: string): Uint8Array => {
  // Text to bytes, without an object between them, which would put names that look like numbers first.
  const documentKey = new Transcoder().document(Buffer.from(`{"_id":${key}}`));
  if (documentKey === undefined)
    throw new FerryError("FERRY_USAGE", `--key ${key} is not extended JSON; a string needs quotes: --key '"abc"'`);
  return documentKey;
};

/** Identity of an `_id` given as extended JSON. @throws FERRY_USAGE */
export const identityOfText = (key: string): string => identityOf(keyBytes(key));

/** The `_id` of a raw documentKey as text; the whole key where it has more than that. */
export const keyText = (documentKey: Uint8Array): string => {
  const text = bsonText(documentKey);
  return /^\{"_id":(.*)\}$/.exec(text)?.[1] ?? text;
};
