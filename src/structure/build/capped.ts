import { identityOf } from "#base/bson/identity.ts";
import { faultPoint } from "#base/flow/fault.ts";
import type { Namespace } from "#base/flow/types.ts";
import type { CollectionAt } from "#io/mongo/collections.ts";
import type { MongoClient } from "#io/mongo/connect.ts";
import { translated } from "#io/mongo/errors.ts";
import { readByKeys } from "#io/mongo/rawReads.ts";
import { rawInsert } from "#io/mongo/rawWrites.ts";
import { type IndexSpec, indexCommand } from "#structure/model/model.ts";
import { isOn, type Options, rawText } from "#structure/model/options.ts";
import { REBUILT, readStructure } from "#structure/model/read.ts";
import { relaxCollection } from "#structure/model/relax.ts";
import { type BuildDeps, command } from "./build.ts";

const AT_ONCE = 1000;

/** Raw `{ _id }` of a collection's documents in the order in which they were inserted. */
async function* inOrder(client: MongoClient, { db, coll }: Namespace): AsyncGenerator<readonly Uint8Array[]> {
  const found = client
    .db(db)
    .collection(coll)
    .find({}, { projection: { _id: 1 }, hint: { $natural: 1 }, raw: true, batchSize: AT_ONCE });
  try {
    for (;;) {
      if (!(await translated(`reading the order of ${db}.${coll}`, () => found.hasNext()))) return;
      yield (found.readBufferedDocuments(AT_ONCE) as unknown as Uint8Array[]).map((key) => Buffer.from(key));
    }
  } finally {
    await found.close();
  }
}

const present = async (
  client: MongoClient,
  { db, coll }: Namespace,
): Promise<Readonly<{ options: Options; indexes: readonly IndexSpec[] }>> => {
  const scope = { databases: [db], includes: (ns: Namespace) => ns.coll === coll };
  const [found] = (await readStructure(client, scope)).collections;
  return found ?? { options: {}, indexes: [] };
};

const fill = async ({ target, signal }: BuildDeps, ns: Namespace, order: CollectionAt): Promise<number> => {
  const call = { db: target.db(ns.db), coll: REBUILT + ns.coll, ordered: true };
  let count = 0;
  for await (const keys of inOrder(order.client, order.ns)) {
    signal.throwIfAborted();
    const documents = new Map((await readByKeys(target, ns.db, ns.coll, keys)).map((doc) => [identityOf(doc), doc]));
    const sorted = keys.flatMap((key) => documents.get(identityOf(key)) ?? []);
    count += (await rawInsert(sorted, call)).n;
  }
  return count;
};

/** Puts a collection with these options in its place, with its documents in this order, and its indexes. May be repeated. */
const rebuild = async (
  deps: BuildDeps,
  ns: Namespace,
  { options, indexes, order }: Readonly<{ options: Options; indexes: readonly IndexSpec[]; order: CollectionAt }>,
): Promise<number> => {
  const { db, coll } = ns;
  const other = REBUILT + coll;
  const named = (what: string): string => `${db}.${coll}: ${what}`;
  await translated(named("dropping what an earlier try left"), () => deps.target.db(db).dropCollection(other));
  await command(deps, db, named("creating it again"), { create: other, ...options });
  const count = await fill(deps, ns, order);
  if (indexes.length > 0)
    await command(deps, db, named("indexing it again"), { createIndexes: other, indexes: indexes.map(indexCommand) });
  faultPoint("mid-capped");
  await command(deps, "admin", named("putting it in its place"), {
    renameCollection: `${db}.${other}`,
    to: `${db}.${coll}`,
    dropTarget: true,
  });
  return count;
};

/**
 * Makes a collection capped whose documents arrived in any order: rebuilds it in the source's order under another name,
 * then renames it over. Documents that the source does not have stay out. Without a source the target's own order counts.
 * May be repeated after a crash.
 * @returns how many documents it has and had
 */
export const rebuildCapped = async (
  deps: BuildDeps,
  ns: Namespace,
  options: Options,
  order: CollectionAt | undefined,
): Promise<Readonly<{ before: number; after: number }>> => {
  const { target } = deps;
  const { db, coll } = ns;
  const there = await present(target, ns);
  const count = (): Promise<number> =>
    translated(`counting ${db}.${coll}`, () => target.db(db).collection(coll).countDocuments());
  const before = await count();
  if (isOn(there.options["capped"])) return { before, after: before }; // renamed, and killed before it was noted
  const lax = options["validator"] === undefined ? {} : { validationLevel: rawText("off") };
  const after = await rebuild(deps, ns, {
    options: { ...options, ...lax },
    indexes: there.indexes,
    order: order ?? { client: target, ns },
  });
  return { before, after };
};

/**
 * Makes a capped collection an ordinary one again, since lanes write to it once more: as it was built at first, with what it has.
 * Nothing where it is ordinary, or not there. May be repeated after a crash.
 */
export const rebuildOrdinary = async (deps: BuildDeps, ns: Namespace, options: Options): Promise<void> => {
  const { target } = deps;
  const there = await present(target, ns);
  if (!isOn(there.options["capped"])) return;
  const { options: relaxed } = relaxCollection(options);
  await rebuild(deps, ns, { options: relaxed, indexes: there.indexes, order: { client: target, ns } });
};
