import { identityOf } from "#base/bson/identity.ts";
import type { TargetOp, WriteOp } from "#base/flow/types.ts";
import { documentKeyOf } from "#io/wire/documentKey.ts";
import type { Sink } from "#sink/sink.ts";

/** Documents that are looked at together. */
const AT_ONCE = 1000;

const isFresh = (op: TargetOp): op is WriteOp => op.op === "write" && op.fresh;

/** What is left to do of a write as a new document, where this one is there. @param stays will it still be there? */
const settled = (op: WriteOp, there: Uint8Array | undefined, stays: boolean): readonly TargetOp[] => {
  if (there === undefined) return [op];
  if (stays && Buffer.compare(there, op.doc) === 0) return [];
  return [{ op: "write", key: op.key, doc: op.doc, fresh: false }];
};

/**
 * What is left to do of inserts, some of which have met their `_id`: of documents that are there, byte for byte, nothing; of
 * others that are there, a replacement. A transaction of upserts can take a server minutes that is short of cache; to read
 * what is there, and to insert the rest, takes it no longer than the first copy did.
 *
 * Deletes of the same batch come before its writes, and under a collation one of them may take what was found here by another
 * spelling: beside deletes nothing is left out.
 * @throws what the sink's `read` throws
 */
export const settleInserts = async (sink: Sink, ops: readonly TargetOp[]): Promise<readonly TargetOp[]> => {
  const left: TargetOp[] = ops.filter((op) => !isFresh(op));
  const fresh = ops.filter(isFresh);
  const stays = !ops.some(({ op }) => op === "delete");
  for (let from = 0; from < fresh.length; from += AT_ONCE) {
    const some = fresh.slice(from, from + AT_ONCE);
    const found = await sink.read(some.map(({ doc }) => documentKeyOf(doc)));
    const there = new Map(found.map((document) => [identityOf(document), document]));
    for (const op of some) left.push(...settled(op, there.get(identityOf(op.doc)), stays));
  }
  return left;
};
