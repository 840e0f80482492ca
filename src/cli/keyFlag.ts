import { BSON } from "bson";
import { identityOf } from "#bson/identity.ts";
import { bsonText } from "#bson/text.ts";
import { FerryError } from "#errors/ferryError.ts";

/** Identity of an `_id` given as extended JSON. @throws FERRY_USAGE */
export const identityOfText = (key: string): string => {
  try {
    return identityOf(BSON.serialize(BSON.EJSON.parse(`{"_id":${key}}`)));
  } catch {
    throw new FerryError("FERRY_USAGE", `--key ${key} is no extended JSON; a string needs its quotes: --key '"abc"'`);
  }
};

/** The `_id` of a raw documentKey as text; the whole key where it has more than that. */
export const keyText = (documentKey: Uint8Array): string => {
  const text = bsonText(documentKey);
  return /^\{"_id":(.*)\}$/.exec(text)?.[1] ?? text;
};
