import type { Namespace } from "#base/flow/types.ts";
import { readByKeys, readFrom } from "#io/mongo/rawReads.ts";
import type { ProvenSource } from "./deployment.ts";

/** The documents of one collection of the source, as it has them now. */
export interface SourceDocuments {
  /**
   * The documents of these raw documentKeys, raw, in any order; missing ones are left out.
   * @param from clusterTime: what is found is not older, whichever member answers; 0n for the majority's view on the primary
   * @throws FERRY_CAPTURE_OTHER, FERRY_MONGO_*
   */
  read(keys: readonly Uint8Array[], from: bigint): Promise<readonly Uint8Array[]>;
}

export const documentsOf = (source: ProvenSource, { db, coll }: Namespace): SourceDocuments => ({
  read: async (keys, from) => readByKeys(await source(), db, coll, keys, readFrom(from)),
});
