/**
 * An update's delta as modifiers. Only for events that come without a document and workers that cannot look it up: a
 * replaced document is exact by construction, a delta only while it meets the state it was made for.
 * Source: MongoDB manual, "Change Events", updateDescription.
 */
import { BSON, type Document } from "bson";
import { documentOf, head } from "#base/bson/documentParts.ts";
import { BsonType, Cursor, rawValue } from "#base/bson/walk.ts";
import { doubtOf } from "#io/wire/delta.ts";

export type PatchPlan = Readonly<{ changes: readonly Uint8Array[] }> | Readonly<{ unclear: string }>;

type PatchField = Readonly<{ name: string; element: Uint8Array }>;

const fieldsOf = (document: Uint8Array | undefined): PatchField[] => {
  const fields: PatchField[] = [];
  if (document === undefined) return fields;
  const cursor = new Cursor();
  cursor.open(document);
  while (cursor.next()) {
    const name = Buffer.from(document.subarray(cursor.nameStart, cursor.nameEnd)).toString();
    fields.push({ name, element: document.subarray(cursor.nameStart - 1, cursor.valueEnd) });
  }
  return fields;
};

const decoded = (update: Uint8Array, name: string): Document[string] => {
  const raw = rawValue(update, name);
  return raw === undefined ? undefined : BSON.deserialize(raw);
};

const NEVER_PLAIN = /^\$|\.\$|^\.|\.\.|\.$|^$/;

const unclearPath = (paths: readonly string[], update: Uint8Array): string | undefined => {
  const doubt = doubtOf(update);
  for (const path of paths) {
    const why = NEVER_PLAIN.test(path) ? "a path has a name that starts with $ or is empty" : doubt(path);
    if (why !== undefined) return why;
  }
  return undefined;
};

/**
 * `$set` adds several new fields in the order of their names, whatever order they are given in; the server lists them in
 * the order in which the source got them. One `$set` per ascending run keeps that order.
 */
const ascendingRuns = (fields: readonly PatchField[]): PatchField[][] => {
  const runs: PatchField[][] = [];
  for (const field of fields) {
    const run = runs.at(-1);
    const last = run?.at(-1);
    if (run !== undefined && last !== undefined && last.name < field.name) run.push(field);
    else runs.push([field]);
  }
  return runs;
};

const modifier = (operator: string, fields: readonly Uint8Array[]): Uint8Array =>
  documentOf(head(BsonType.object, operator), documentOf(...fields));

type Told = Readonly<{ removed: readonly string[]; truncated: readonly { field: string; newSize: number }[] }>;

/** Paths that are values of the delta; undefined where one is no UTF-8, and cannot become a name again. */
const toldIn = (update: Uint8Array): Told | undefined => {
  try {
    return {
      removed: Object.values(decoded(update, "removedFields") ?? {}) as string[],
      truncated: Object.values(decoded(update, "truncatedArrays") ?? {}) as { field: string; newSize: number }[],
    };
  } catch {
    return undefined;
  }
};

/** The delta as a list of modifier documents to run in order, or why modifiers cannot express it. */
export const planPatch = (update: Uint8Array): PatchPlan => {
  const updated = fieldsOf(rawValue(update, "updatedFields"));
  const paths = toldIn(update);
  if (paths === undefined) return { unclear: "a path is no UTF-8" };
  const { removed, truncated } = paths;
  const unclear = unclearPath(
    [...updated.map((field) => field.name), ...removed, ...truncated.map((t) => t.field)],
    update,
  );
  if (unclear !== undefined) return { unclear };
  const changes: Uint8Array[] = [];
  for (const { field, newSize } of truncated) {
    changes.push(BSON.serialize({ $push: { [field]: { $each: [], $slice: newSize } } }));
  }
  if (removed.length > 0)
    changes.push(BSON.serialize({ $unset: Object.fromEntries(removed.map((name) => [name, ""])) }));
  for (const run of ascendingRuns(updated))
    changes.push(
      modifier(
        "$set",
        run.map((field) => field.element),
      ),
    );
  return { changes };
};
