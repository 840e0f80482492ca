/**
 * The same rules for an update's delta (MongoDB manual, "Change Events", updateDescription): paths are followed through
 * the rule tree as the document's own names would be, so that a filtered delta on a filtered document gives the filtered
 * result.
 */
import { BSON } from "bson";
import { BsonType, Cursor, rawValue } from "#bson/walk.ts";
import { BsonWriter } from "#bson/writer.ts";
import { numbersAreIndexes } from "#wire/delta.ts";
import type { DocumentFilter } from "./document.ts";
import { isWhole, type Rule, unlisted } from "./rules.ts";

/** The delta that is left (undefined where nothing is), or why rules cannot be applied to it: then the document is needed. */
export type FilteredDelta = Readonly<{ update: Uint8Array | undefined }> | Readonly<{ unclear: string }>;

/** Where a path leads: the rule there and its new spelling. `inArray`: its last component is an index. */
type Place = Readonly<{ rule: Rule; path: string; inArray: boolean }>;

const IS_INDEX = /^\d+$/;

const DROPPED = "dropped";
const UNCLEAR = "unclear";

/**
 * Follows a path. A number is an array index or a field name; servers from 6.1 on tell the two apart in
 * `disambiguatedPaths`, others do not, and guessing could let a field through that no rule allows.
 */
const follow = (root: Rule, path: string, told: boolean): Place | typeof DROPPED | typeof UNCLEAR => {
  const parts = path.split(".");
  const spelled: string[] = [];
  let rule = root;
  let inArray = false;
  for (const [depth, part] of parts.entries()) {
    if (isWhole(rule)) {
      spelled.push(...parts.slice(depth));
      return { rule, path: spelled.join("."), inArray: false };
    }
    inArray = depth > 0 && IS_INDEX.test(part);
    if (inArray) {
      if (!told) return UNCLEAR;
      spelled.push(part);
      continue;
    }
    rule = rule.children?.named(part) ?? unlisted(rule);
    if (rule.drop) return DROPPED;
    spelled.push(rule.name === undefined ? part : rule.name.toString());
  }
  return { rule, path: spelled.join("."), inArray };
};

type Truncated = Readonly<{ field: string; newSize: unknown }>;

const listOf = <T>(update: Uint8Array, name: string): readonly T[] => {
  const raw = rawValue(update, name);
  return raw === undefined ? [] : (Object.values(BSON.deserialize(raw, { promoteValues: false })) as T[]);
};

class Unclear extends Error {}

/** Applies rules to one updateDescription. `update` is validated BSON. */
export const filterDelta = (update: Uint8Array, root: Rule, documents: DocumentFilter): FilteredDelta => {
  const told = numbersAreIndexes(update);
  if (told === undefined) return { unclear: "a path has names with dots or digits" };
  const place = (path: string): Place | undefined => {
    const found = follow(root, path, told);
    if (found === UNCLEAR) throw new Unclear();
    return found === DROPPED ? undefined : found;
  };
  try {
    return { update: filtered(update, place, documents) };
  } catch (error) {
    if (!(error instanceof Unclear)) throw error;
    return { unclear: "a path has a number, and this server does not say whether it is an index or a name" };
  }
};

const filtered = (
  update: Uint8Array,
  place: (path: string) => Place | undefined,
  documents: DocumentFilter,
): Uint8Array | undefined => {
  const removed = listOf<string>(update, "removedFields").flatMap((path) => place(path)?.path ?? []);
  const truncated = listOf<Truncated>(update, "truncatedArrays").flatMap(({ field, newSize }) => {
    const found = place(field);
    return found === undefined ? [] : [{ field: found.path, newSize }];
  });
  const writer = new BsonWriter();
  const open = writer.open();
  let updatedCount = 0;
  const cursor = new Cursor();
  const fields = rawValue(update, "updatedFields");
  if (fields !== undefined) cursor.open(fields);
  while (fields !== undefined && cursor.next()) {
    const found = place(Buffer.from(fields.subarray(cursor.nameStart, cursor.nameEnd)).toString());
    if (found === undefined) continue;
    const { path, rule, inArray } = found;
    const value = documents.element(fields, cursor.type, cursor.valueStart, cursor.valueEnd, path, rule, inArray);
    // What is there now is not wanted; what was there before may have been.
    if (value === undefined) removed.push(path);
    else {
      writer.raw(value, 4, value.length - 1);
      updatedCount++;
    }
  }
  writer.close(open);
  if (updatedCount + removed.length + truncated.length === 0) return undefined;
  const updated = writer.take();
  const rest = BSON.serialize({ removedFields: removed, truncatedArrays: truncated });
  const whole = writer.open();
  writer.value(BsonType.object, "updatedFields", updated);
  writer.raw(rest, 4, rest.length - 1);
  writer.close(whole);
  return writer.take();
};
