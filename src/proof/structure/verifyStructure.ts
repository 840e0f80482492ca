import type { Route } from "#base/config/routes.ts";
import type { NamespaceFilter } from "#base/flow/namespaceFilter.ts";
import { formatNamespace, type Namespace, parseNamespace } from "#base/flow/types.ts";
import type { MongoClient } from "#io/mongo/connect.ts";
import type { StateDb } from "#io/state/stateDb.ts";
import type { CollectionSpec } from "#structure/model/model.ts";
import { isOn } from "#structure/model/options.ts";
import { readStructure } from "#structure/model/read.ts";
import { Selection } from "#structure/model/selection.ts";
import { routed } from "#structure/operations/structureOperations.ts";
import { readAsked, readJournal } from "#structure/plan/structureStore.ts";
import { type Wanted, wantedStructure } from "#structure/plan/wanted.ts";
import { haveOneOrder } from "./cappedOrder.ts";
import { compareStructure, type StructureDifference } from "./compareStructure.ts";

export type StructureVerifyDeps = Readonly<{
  source: MongoClient;
  target: MongoClient;
  state: StateDb;
  /** Of the configuration; undefined keeps every namespace's name. */
  routes: readonly Route[] | undefined;
  /** Namespaces of the source that are meant. */
  filter: Pick<NamespaceFilter, "has">;
}>;

/** What ferry built, or should have, as the source has it by now. */
const wantedBy = async ({ source, state, routes, filter }: StructureVerifyDeps): Promise<readonly Wanted[]> => {
  const named = routes === undefined ? undefined : routed(routes);
  const found = new Map<string, Wanted>();
  for (const { include, exclude } of await readAsked(state)) {
    const selection = new Selection({ routes: named, include, exclude });
    const { collections } = await readStructure(source, selection.scope);
    for (const wanted of wantedStructure(collections, selection).wanted)
      if (filter.has(parseNamespace(wanted.from))) found.set(formatNamespace(wanted.spec.ns), wanted);
  }
  return [...found.values()];
};

const readThere = async (target: MongoClient, wanted: readonly Wanted[]): Promise<readonly CollectionSpec[]> => {
  const names = new Set(wanted.map(({ spec }) => formatNamespace(spec.ns)));
  const databases = [...new Set(wanted.map(({ spec }) => spec.ns.db))];
  const scope = { databases, includes: (ns: Namespace) => names.has(formatNamespace(ns)) };
  return (await readStructure(target, scope)).collections;
};

const isCapped = ({ options }: CollectionSpec): boolean => isOn(options["capped"]);

/** Where both sides are capped, the order in which documents were written is a part of what they are. */
const orderOf = async (
  { source, target }: StructureVerifyDeps,
  { from, spec }: Wanted,
  present: readonly CollectionSpec[],
): Promise<readonly StructureDifference[]> => {
  const ns = formatNamespace(spec.ns);
  const there = present.find((one) => formatNamespace(one.ns) === ns);
  if (!isCapped(spec) || there === undefined || !isCapped(there)) return [];
  const isSame = await haveOneOrder({ client: source, ns: parseNamespace(from) }, { client: target, ns: spec.ns });
  return isSame ? [] : [{ ns, index: "", kind: "different", options: ["order"], deferred: false }];
};

/**
 * What of the structure that ferry builds is not on the target, or not as on the source: options, collations, validators, indexes,
 * views, the order of capped collections. Nothing where ferry was never asked to build any. @throws FERRY_MONGO_*
 */
export const verifyStructure = async (deps: StructureVerifyDeps): Promise<readonly StructureDifference[]> => {
  const wanted = await wantedBy(deps);
  if (wanted.length === 0) return [];
  const present = await readThere(deps.target, wanted);
  const journal = await readJournal(deps.state);
  const orders: StructureDifference[] = [];
  for (const one of wanted) orders.push(...(await orderOf(deps, one, present)));
  return [...compareStructure(wanted, present, journal), ...orders];
};
