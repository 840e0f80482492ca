/**
 * The same rules for an update's delta (MongoDB manual, "Change Events", updateDescription): paths are followed through
 * the rule tree as the document's own names would be, so that a filtered delta on a filtered document gives the filtered
 * result.
 */
import { BSON } from "bson";
import { BsonType, Cursor, rawValue } from "#base/bson/walk.ts";
import { BsonWriter } from "#base/bson/writer.ts";
import { doubtOf } from "#io/wire/delta.ts";
import type { DocumentFilter } from "./document.ts";
import { isWhole, type Rule, unlisted } from "./rules.ts";

/** The delta that is left (undefined where nothing is), or why rules cannot be applied to it: then the document is needed. */
export type FilteredDelta = Readonly<{ update: Uint8Array | undefined }> | Readonly<{ unclear: string }>;

/** Where a path leads: the rule there and its new spelling. `inArray`: its last component is an index. */
type ResolvedPath = Readonly<{ rule: Rule; path: string; inArray: boolean }>;

const IS_INDEX = /^\d+$/;

/** Follows a path of steps and indexes of arrays; undefined where rules leave its field out. */
const follow = (root: Rule, path: string): ResolvedPath | undefined => {
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
      spelled.push(part);
      continue;
    }
    rule = rule.children?.named(part) ?? unlisted(rule);
    if (rule.drop) return undefined;
    spelled.push(rule.name === undefined ? part : rule.name.toString());
  }
  return { rule, path: spelled.join("."), inArray };
};

type Truncated = Readonly<{ field: string; newSize: unknown }>;

const listOf = <T>(update: Uint8Array, name: string): readonly T[] => {
  const raw = rawValue(update, name);
  try {
    return raw === undefined ? [] : (Object.values(BSON.deserialize(raw, { promoteValues: false })) as T[]);
  } catch {
    throw new Unclear("a path is no UTF-8");
  }
};

/** A path that names this field or another one: guessing could let a field through that no rule allows. */
class Unclear extends Error {}

/** Applies rules to one updateDescription. `update` is validated BSON. */
export const filterDelta = (update: Uint8Array, root: Rule, documents: DocumentFilter): FilteredDelta => {
  const doubt = doubtOf(update);
  const place = (path: string): ResolvedPath | undefined => {
    const why = doubt(path);
    if (why !== undefined) throw new Unclear(why);
    return follow(root, path);
  };
  try {
    return { update: filtered(update, place, documents) };
  } catch (error) {
    if (!(error instanceof Unclear)) throw error;
    return { unclear: error.message };
  }
};

const filtered = (
  update: Uint8Array,
  place: (path: string) => ResolvedPath | undefined,
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
  // The remaining paths name one field each, and are marked so for their writer.
  const rest = BSON.serialize({ removedFields: removed, truncatedArrays: truncated, disambiguatedPaths: {} });
  const whole = writer.open();
  writer.value(BsonType.object, "updatedFields", updated);
  writer.raw(rest, 4, rest.length - 1);
  writer.close(whole);
  return writer.take();
};
