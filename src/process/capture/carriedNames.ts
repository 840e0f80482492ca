import { nearest } from "#base/config/suggest.ts";
import { FerryError } from "#base/errors/ferryError.ts";
import { isGlob } from "#base/flow/namespaceFilter.ts";
import { formatNamespace, type Namespace, parseNamespace } from "#base/flow/types.ts";
import type { Logger } from "#base/observe/log.ts";
import { kindOf } from "#io/mongo/collections.ts";
import type { MongoClient } from "#io/mongo/connect.ts";
import type { Scope } from "#source/stream/scope.ts";

export type NamesDeps = Readonly<{
  source: MongoClient;
  scope: Scope;
  /** Names without a collection are intended. */
  allowEmpty: boolean;
  /** Asks a question at the terminal; undefined without one. */
  ask: ((question: string) => Promise<boolean>) | undefined;
  logger: Logger;
}>;

/** Edits within which a name counts as misspelt: a short one is soon like another. */
const mostEdits = (name: string): number => (parseNamespace(name).coll.length < 5 ? 1 : 2);

const byName = (a: Namespace, b: Namespace): number => (formatNamespace(a) < formatNamespace(b) ? -1 : 1);

/** @throws FERRY_SOURCE_NOTHING where the name is that of a view */
const requireNoView = async (source: MongoClient, name: string): Promise<void> => {
  const { db, coll } = parseNamespace(name);
  if (coll === "") return;
  if ((await kindOf(source.db(db), coll)) === "view")
    throw new FerryError(
      "FERRY_SOURCE_NOTHING",
      `${name} is a view and has no documents; select its collection or its whole database, and the view is built with them`,
    );
};

/**
 * What is carried of what the source has before a first start. What is not there yet is followed, and carried when it is
 * created: a glob implies that. A plain name without a collection is often a misspelling, so it is asked
 * about where another collection, which is not carried, has nearly this name, or where there would be nothing to carry at all.
 * @throws FERRY_SOURCE_NOTHING naming the first name that is not confirmed, or that an exclusion or a view leaves nothing of
 */
export const carriedNames = async (
  { source, scope, allowEmpty, ask, logger }: NamesDeps,
  existing: readonly Namespace[],
): Promise<readonly Namespace[]> => {
  const carried = existing.filter((ns) => scope.has(ns)).sort(byName);
  const others = existing.filter((ns) => !scope.has(ns)).map(formatNamespace);
  for (const name of scope.absent(existing)) {
    if (scope.leavesOut(name, existing))
      throw new FerryError("FERRY_SOURCE_NOTHING", `--exclude skips everything that ${name} matches`);
    const isName = !isGlob(name);
    if (isName) await requireNoView(source, name);
    const near = isName ? nearest(name, others, mostEdits(name)) : undefined;
    const fact = `${name} ${isName ? "is not on the source" : "matches nothing on the source yet"}`;
    const said = near === undefined ? fact : `${fact}; did you mean ${near}?`;
    const isDoubtful = isName && !allowEmpty && (near !== undefined || carried.length === 0);
    if (isDoubtful && !(await ask?.(`${said} Follow it as soon as it is created?`)))
      throw new FerryError("FERRY_SOURCE_NOTHING", said);
    logger.warn(
      { stage: "copy" },
      `${said}${said.endsWith("?") ? " It" : ": it"} is followed as soon as it is created`,
    );
  }
  if (carried.length === 0)
    logger.warn(
      { stage: "copy" },
      "nothing is selected on the source yet: collections are included when they are created",
    );
  for (const name of scope.idleExclusions(existing))
    logger.warn({ stage: "copy" }, `--exclude ${name} matches no collection of the source yet`);
  return carried;
};
