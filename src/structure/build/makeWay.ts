import { randomUUID } from "node:crypto";
import { bucketsOf } from "#base/flow/buckets.ts";
import { formatNamespace, freshWrite, type Namespace, type TargetOp } from "#base/flow/types.ts";
import { translated } from "#io/mongo/errors.ts";
import { readByKeys } from "#io/mongo/rawReads.ts";
import { ServerCode } from "#io/mongo/serverCodes.ts";
import { isOfDocument, type Sink } from "#sink/sink.ts";
import { type CollectionSpec, type IndexSpec, indexCommand } from "#structure/model/model.ts";
import type { Options } from "#structure/model/options.ts";
import { readStructure } from "#structure/model/read.ts";
import { type BuildDeps, command, idempotent, isRefusal } from "./build.ts";
import { indexOfRecord } from "./finalize.ts";

/**
 * `removed`: an index, or a view, that was there; `away`: one that had made way already, maybe since the refusal; `building`: one that is being
 * built, by the owner of another partition: it refuses documents from its beginning, and can be removed at its end.
 */
export type Way = "removed" | "away" | "building" | undefined;

/** What is used of the sink of a scratch collection. */
type ScratchSink = Pick<Sink, "write" | "refusal">;

export type WayDeps = Omit<BuildDeps, "report"> &
  Readonly<{
    /** On the target, for documents that are tried alone: ferry's own, where it may create collections. */
    scratchDb: string;
    /** What writes to a collection of the target. */
    sinkAt: (ns: Namespace) => ScratchSink;
    /** @param index its name; undefined where it was a view */
    onAway: (index: string | undefined) => void;
  }>;

/** What decides how a collection keeps documents and makes index keys of them. */
const shapeOf = ({ options: { collation, timeseries } }: CollectionSpec): Options => ({
  ...(collation === undefined ? {} : { collation }),
  ...(timeseries === undefined ? {} : { timeseries }),
});

/** Writes the document alone, in a collection of its own; false where it is refused even so. @throws FERRY_MONGO_* */
const writeAlone = async (
  sink: ScratchSink,
  ops: readonly TargetOp[],
  before: readonly Uint8Array[],
): Promise<boolean> => {
  try {
    await sink.write(before.map(freshWrite), undefined);
    await sink.write(ops, undefined);
    return true;
  } catch (error) {
    if (isOfDocument(sink.refusal(error))) return false;
    throw error;
  }
};

/**
 * Which of these indexes refuse what a statement makes of its document. The server is asked: each kind of index has reasons of
 * its own, and an error names neither the index nor always the kind.
 * @param before the document as it is, where the statement changes it. @throws FERRY_MONGO_*
 */
const refusing = async (
  deps: WayDeps,
  there: CollectionSpec,
  indexes: readonly IndexSpec[],
  { ops, before }: Readonly<{ ops: readonly TargetOp[]; before: readonly Uint8Array[] }>,
): Promise<readonly string[]> => {
  const { target, scratchDb, sinkAt } = deps;
  const alone: Namespace = { db: scratchDb, coll: `trial.${randomUUID()}` };
  const what = "trying a document alone";
  await command(deps, scratchDb, what, { create: alone.coll, ...shapeOf(there) });
  try {
    const sink = sinkAt(there.kind === "timeseries" ? bucketsOf(alone) : alone);
    if (!(await writeAlone(sink, ops, before))) return [];
    const names: string[] = [];
    for (const index of indexes) {
      const create = { createIndexes: alone.coll, indexes: [indexCommand(index)] };
      await command(deps, scratchDb, what, create).catch((error: unknown) => {
        if (!isRefusal(error)) throw error;
        names.push(index.name);
      });
    }
    return names;
  } finally {
    await translated(what, () => target.db(scratchDb).dropCollection(alone.coll));
  }
};

/**
 * The source has a view now where it had the collection of this document: its drop is still to come, and brings the view back.
 * @throws FERRY_MONGO_*
 */
const removeView = async (deps: WayDeps, { db, coll }: Namespace): Promise<Way> => {
  const what = `${db}.${coll}: dropping the view, which has the name of a collection whose documents are on their way`;
  await idempotent(deps, db, what, { drop: coll }, [ServerCode.NamespaceNotFound]);
  deps.onAway(undefined);
  return "removed";
};

/**
 * Removes the indexes of ferry's own that refuse a document. It is older than they are, or newer than their end: the source has
 * it, or had it, without them. Each comes back at an event of the structure that is met later, or at finalize.
 * @param to the target's collection or time series
 * @param key of the document, where the statement changes what is there. @throws FERRY_MONGO_*
 */
export const makeWay = async (
  deps: WayDeps,
  to: Namespace,
  ops: readonly TargetOp[],
  key: Uint8Array | undefined,
): Promise<Way> => {
  const { target, store } = deps;
  const ns = formatNamespace(to);
  const noted = async () => (await store.of(ns)).filter(({ kind }) => kind === "index" || kind === "view");
  if ((await noted()).length === 0) return undefined;
  const scope = { databases: [to.db], includes: ({ coll }: Namespace) => coll === to.coll };
  const [there] = (await readStructure(target, scope)).collections;
  // Read after the indexes: who removes one notes it first, and what is gone is found here.
  const all = await noted();
  const records = all.filter(({ kind }) => kind === "index");
  const hadView = all.length > records.length;
  if (hadView && there?.kind === "view") return removeView(deps, to);
  const otherwise = hadView ? "away" : undefined;
  if (there === undefined) return otherwise;
  const present = new Map(there.indexes.map((index) => [index.name, index]));
  const candidates = records.flatMap((record) => {
    const isKnown = record.held.includes("index") || record.state === "planned";
    const index = present.get(record._id.index) ?? (isKnown ? indexOfRecord(record) : undefined);
    return index === undefined ? [] : [index];
  });
  const planned = new Set(records.filter(({ state }) => state === "planned").map(({ _id }) => _id.index));
  if (candidates.length === 0) return otherwise;
  const before = key === undefined ? [] : await readByKeys(target, to.db, to.coll, [key]);
  const names = await refusing(deps, there, candidates, { ops, before });
  const removed = names.filter((name) => present.has(name));
  for (const name of removed) {
    // Noted on both sides of it: what is noted as built while it is gone would be taken for built at the end.
    const note = () => store.settle({ ns, index: name }, { state: "built", held: ["index"], reason: AWAY });
    await note();
    const what = `${ns}: dropping index ${name}, which rejects a document`;
    await idempotent(deps, to.db, what, { dropIndexes: to.coll, index: name }, [
      ServerCode.IndexNotFound,
      ServerCode.NamespaceNotFound,
    ]);
    await note();
    deps.onAway(name);
  }
  if (removed.length > 0) return "removed";
  if (names.some((name) => planned.has(name))) return "building";
  return names.length > 0 ? "away" : otherwise;
};

const AWAY = "a document on its way does not fit it";
