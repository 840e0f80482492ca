import { RawValue } from "#base/bson/rawValue.ts";
import { BsonType } from "#base/bson/walk.ts";
import {
  type Options,
  optionsDocument,
  optionsWithin,
  pick,
  rawSubdocument,
  rawText,
  textOf,
  without,
} from "./options.ts";

/**
 * A validator that refuses every document, which is how a cutover stops inserts and updates of one collection. It is never the
 * same as another value, and carries the options that it stands in for, so that anyone who finds it can restore them.
 */
const MARK = "fenced by ferry until its cutover ends";

const VALIDATION = ["validator", "validationLevel", "validationAction"] as const;

const rawArray = (values: readonly RawValue[]): RawValue =>
  new RawValue(BsonType.array, optionsDocument(Object.fromEntries(values.map((value, n) => [String(n), value]))));

/** `collMod`'s fields that raise the fence over a collection with these options. */
export const fencing = (options: Options): Options => {
  const former = rawSubdocument({ $literal: rawSubdocument(pick(options, VALIDATION)) });
  const never = rawSubdocument({ $eq: rawArray([rawText(MARK), former]) });
  return {
    validator: rawSubdocument({ $expr: never }),
    validationLevel: rawText("strict"),
    validationAction: rawText("error"),
  };
};

/** Fields of a document, or list; nothing of any other value. */
const inside = (value: RawValue | undefined): Options =>
  value?.type === BsonType.object || value?.type === BsonType.array ? optionsWithin(value) : {};

/** The validation that the fence stands in for; undefined where these options have no fence. */
export const fencedValidation = (options: Options): Options | undefined => {
  const [mark, former] = Object.values(inside(inside(inside(options["validator"])["$expr"])["$eq"]));
  return textOf(mark) === MARK ? inside(inside(former)["$literal"]) : undefined;
};

/** `collMod`'s fields that lift it. The server has no way to take level and action out of a collection's options again. */
export const lifting = (former: Options): Options => ({
  validator: former["validator"] ?? rawSubdocument({}),
  validationLevel: former["validationLevel"] ?? rawText("strict"),
  validationAction: former["validationAction"] ?? rawText("error"),
});

/** Options as they are without a fence; and without what validation means nothing by, as a fence leaves it behind. */
export const withoutFence = (options: Options): Options => {
  const former = fencedValidation(options);
  const own = former === undefined ? options : { ...without(options, ...VALIDATION), ...former };
  return own["validator"] === undefined ? without(own, ...VALIDATION) : own;
};
