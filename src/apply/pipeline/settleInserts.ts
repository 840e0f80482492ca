import { deleteStatement, oddity, replaceStatement } from "#apply/plan/statements.ts";
import { identityOf } from "#base/bson/identity.ts";
import type { Namespace, WriteOps } from "#base/flow/types.ts";
import type { MongoClient } from "#io/mongo/connect.ts";
import { readByKeys } from "#io/mongo/rawReads.ts";
import { documentKeyOf } from "#io/wire/documentKey.ts";

/** Documents that are looked at together. */
const AT_ONCE = 1000;

/**
 * What is left to do of inserts, some of which have met their `_id`: of documents that are there, byte for byte, nothing; of
 * others that are there, a replacement. A transaction of upserts can take a server minutes that is short of cache; to read
 * what is there, and to insert the rest, takes it no longer than the first copy did.
 * @param ns of the target. @throws FERRY_MONGO_*
 */
export const settleInserts = async (client: MongoClient, ns: Namespace, ops: WriteOps): Promise<WriteOps> => {
  const inserts: Uint8Array[] = [];
  const updates: Uint8Array[] = [];
  const deletes: Uint8Array[] = [];
  for (let from = 0; from < ops.inserts.length; from += AT_ONCE) {
    const documents = ops.inserts.slice(from, from + AT_ONCE);
    const found = await readByKeys(client, ns.db, ns.coll, documents.map(documentKeyOf));
    const there = new Map(found.map((document) => [identityOf(document), document]));
    for (const document of documents) {
      const other = there.get(identityOf(document));
      if (other !== undefined && Buffer.compare(other, document) === 0) continue;
      const isOdd = other !== undefined && oddity(document) !== undefined;
      if (isOdd) deletes.push(deleteStatement(documentKeyOf(document)));
      if (other === undefined || isOdd) inserts.push(document);
      else updates.push(replaceStatement(documentKeyOf(document), document));
    }
  }
  return { deletes: [...ops.deletes, ...deletes], inserts, updates: [...updates, ...ops.updates] };
};
