import { MaxKey } from "bson";
import { rawDocument, rawId } from "#base/bson/rawValue.ts";
import { BsonType } from "#base/bson/walk.ts";
import type { Document } from "./connect.ts";

export type IdRange = Readonly<{
  /** Filter, hint, sort and bounds of a `find`. */
  way: Document;
  /** A second `find`, for the document that the first one leaves out; undefined where it leaves out none. */
  highest: Document | undefined;
}>;

/** `find`s nothing: no plan, no scan. */
const NOTHING: IdRange = { way: { filter: { _id: { $in: [] } } }, highest: undefined };
const HIGHEST: Document = { filter: { _id: new MaxKey() } };

/**
 * How a `find` reads the documents from one `_id` on, before another, in the order of the `_id` index, which is defined across all
 * types and for every collation. Bounds are the index's own (`min`, `max`): a `$gte` would compare within one type and pass over
 * the `_id`s of every other. The server takes a missing `max` for MaxKey, exclusively, and refuses `min` at MaxKey and `max` at
 * MinKey (51175): so MaxKey is read separately, and nothing is below MinKey.
 * @param from raw `{ _id }`, the first of the range; undefined: from the lowest on
 * @param to raw `{ _id }`, the first that no longer belongs to it; undefined: to the highest
 */
export const idRange = (from: Uint8Array | undefined, to: Uint8Array | undefined): IdRange => {
  if (to !== undefined && rawId(to).type === BsonType.minKey) return NOTHING;
  if (from !== undefined && rawId(from).type === BsonType.maxKey)
    return to === undefined ? { way: HIGHEST, highest: undefined } : NOTHING;
  const way = {
    hint: { _id: 1 },
    sort: { _id: 1 },
    ...(from === undefined ? {} : { min: rawDocument(from) }),
    ...(to === undefined ? {} : { max: rawDocument(to) }),
  };
  return { way, highest: from !== undefined && to === undefined ? HIGHEST : undefined };
};
