import { Timestamp } from "bson";
import { identityOf } from "#base/bson/identity.ts";
import type { CollectionAt } from "#io/mongo/collections.ts";
import type { MongoClient } from "#io/mongo/connect.ts";
import { translated } from "#io/mongo/errors.ts";
import { readByKeys, readFrom } from "#io/mongo/rawReads.ts";

/** Keys of one query: below the limit of a command with `_id`s of some kilobytes. */
const KEYS_AT_ONCE = 500;

export const timestampOf = (at: bigint): Timestamp => new Timestamp(at);

/** The newest clusterTime that a deployment's primary knows; 0n on a standalone server. @throws FERRY_MONGO_* */
export const clusterTimeOf = async (client: MongoClient): Promise<bigint> => {
  const reply = await translated("asking for the cluster's time", () => client.db("admin").command({ ping: 1 }));
  return (reply["operationTime"] as Timestamp | undefined)?.toBigInt() ?? 0n;
};

/**
 * The documents of these keys by identity, by a majority read that is not older than `notBefore`; missing ones are left out.
 * @param keys raw `{ _id }`s. @throws FERRY_MONGO_*
 */
export const readVersions = async (
  { client, ns }: CollectionAt,
  keys: readonly Uint8Array[],
  notBefore: bigint,
): Promise<ReadonlyMap<string, Uint8Array>> => {
  const found = new Map<string, Uint8Array>();
  for (let from = 0; from < keys.length; from += KEYS_AT_ONCE) {
    const some = keys.slice(from, from + KEYS_AT_ONCE);
    const documents = await readByKeys(client, ns.db, ns.coll, some, readFrom(notBefore));
    for (const document of documents) found.set(identityOf(document), document);
  }
  return found;
};
