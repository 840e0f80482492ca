import { formatNamespace } from "#base/flow/types.ts";
import type { CollectionAt } from "#io/mongo/collections.ts";
import { compareRange } from "./pairedRange.ts";
import { clusterTimeOf, readVersions } from "./reads.ts";
import type { RecheckDeps } from "./recheck.ts";
import type { Compared, Judged } from "./verification.ts";

/** One route between two collections: both sides can be read in the order of `_id`. */
export type Pair = Omit<Judged, "readTarget"> & Readonly<{ target: CollectionAt }>;

/** As its suspects are judged. */
export const judgedPair = (pair: Pair): Judged => ({ ...pair, readTarget: readingSide(pair.target) });

/** As its documents are compared, side by side. */
export const comparedPair = (pair: Pair): Compared => {
  const { source, target, expect, onto } = pair;
  return {
    ...judgedPair(pair),
    to: formatNamespace(target.ns),
    targetTime: () => clusterTimeOf(target.client),
    open: async () => (work, bounds) => compareRange({ ...work, source, target, expect, onto }, bounds),
  };
};

const readingSide =
  (side: CollectionAt): RecheckDeps["readTarget"] =>
  async (keys) => {
    // Asked for before the read: what was applied by now is in it.
    const at = await clusterTimeOf(side.client);
    return { documents: await readVersions(side, keys, at), at };
  };
