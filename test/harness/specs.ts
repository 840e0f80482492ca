import { BSON, type Document } from "bson";
import { rawDocument } from "#base/bson/rawValue.ts";
import type { IndexSpec } from "#structure/model/model.ts";
import { type Options, optionsIn } from "#structure/model/options.ts";

/** Options as a server would give them, spelled as objects. */
export const optionsOf = (options: Document): Options => optionsIn(BSON.serialize(options));

export const indexOf = (name: string, key: Document, options: Document = {}): IndexSpec => ({
  name,
  key: rawDocument(BSON.serialize(key)),
  options: optionsOf(options),
});

/** Raw values as relaxed extended JSON, to compare with. */
export const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));
