import type { Namespace } from "./types.ts";

/**
 * A time series is a view; its measurements lie in buckets, documents with an ObjectId as `_id`, in a collection beside it.
 * Source: https://www.mongodb.com/docs/manual/core/timeseries-collections/. That collection is carried like any other.
 */
export const BUCKETS = "system.buckets.";

/** Where a time series keeps its measurements. */
export const bucketsOf = ({ db, coll }: Namespace): Namespace => ({ db, coll: `${BUCKETS}${coll}` });

/** The time series whose buckets a namespace holds; undefined where it holds none. */
export const seriesOf = ({ db, coll }: Namespace): Namespace | undefined =>
  coll.startsWith(BUCKETS) && coll.length > BUCKETS.length ? { db, coll: coll.slice(BUCKETS.length) } : undefined;
