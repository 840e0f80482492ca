import type { Namespace } from "#base/flow/types.ts";
import { kindOf } from "#io/mongo/collections.ts";
import type { ChunkReader } from "./chunkCursor.ts";
import type { CopyPace, CopySource } from "./copySource.ts";
import { NaturalReader } from "./naturalReader.ts";
import { type RangeBounds, RangeReader } from "./rangeReader.ts";

/** What is left of a range of one namespace. `order`: undefined for the order of `_id`. */
export type RestOfRange = Readonly<{ ns: Namespace; order: "natural" | undefined; bounds: RangeBounds }>;

/** The documents of a source, for its copy. */
export interface RangeSource {
  /** How much of the time it may be asked; undefined for all of it. */
  readonly pace: CopyPace | undefined;
  /** A view or a time series may have taken the name: what shows there is nothing to copy. @throws FERRY_MONGO_* */
  isCollection(ns: Namespace): Promise<boolean>;
  /** @param averageBytes of a document, as far as it is known. @throws FERRY_MONGO_* */
  open(range: RestOfRange, averageBytes: number): Promise<ChunkReader>;
}

export const rangesOf = (source: CopySource): RangeSource => ({
  get pace() {
    return source.pace;
  },
  isCollection: async ({ db, coll }) => {
    const kind = await kindOf((await source.client()).db(db), coll);
    return kind === undefined || kind === "collection";
  },
  open: ({ ns, order, bounds }, averageBytes) =>
    (order === "natural" ? NaturalReader : RangeReader).open(source, ns, bounds, averageBytes),
});
