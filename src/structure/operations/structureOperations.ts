import type { Document } from "bson";
import { destinationText, isMongo } from "#base/config/destination.ts";
import type { Route } from "#base/config/routes.ts";
import { FerryError } from "#base/errors/ferryError.ts";
import { bucketsOf } from "#base/flow/buckets.ts";
import type { Clock } from "#base/flow/clock.ts";
import { NamespaceFilter, type NamespaceSpec } from "#base/flow/namespaceFilter.ts";
import { formatNamespace, type Namespace, parseNamespace } from "#base/flow/types.ts";
import { hasDocuments } from "#io/mongo/collections.ts";
import { type MongoClient, readTopology } from "#io/mongo/connect.ts";
import { translated } from "#io/mongo/errors.ts";
import { forgetRoutes } from "#io/state/forgetRoutes.ts";
import type { StateDb } from "#io/state/stateDb.ts";
import { fieldNames } from "#route/filter/fieldPath.ts";
import { RouteFilter } from "#route/filter/routeFilter.ts";
import { comparesText } from "#route/filter/where.ts";
import { routesOn } from "#route/table/routesOn.ts";
import { abilitiesOf } from "#sink/open/openSink.ts";
import { carryOut, type Failure, type StructureEvent } from "#structure/build/build.ts";
import { finalizeStructure } from "#structure/build/finalize.ts";
import type { CollectionSpec } from "#structure/model/model.ts";
import { readStructure } from "#structure/model/read.ts";
import { serverAbilitiesOf } from "#structure/model/relax.ts";
import { type FieldMap, type RoutedNamespace, Selection } from "#structure/model/selection.ts";
import { type BuildPlan, planStructure } from "#structure/plan/planStructure.ts";
import { readJournal, type StructureStore } from "#structure/plan/structureStore.ts";
import { type StructureFinding, type Wanted, wantedStructure } from "#structure/plan/wanted.ts";

/** What a plan is made from. */
export type PlanDeps = Readonly<{
  source: MongoClient;
  target: MongoClient;
  state: StateDb;
  /** Routes of the configuration; undefined keeps every namespace's name. */
  routes: readonly Route[] | undefined;
  /** Globs over `db.collection`. */
  include: readonly string[];
  exclude: readonly string[];
}>;

export type StructureDeps = PlanDeps &
  Readonly<{
    journal: StructureStore;
    clock: Clock;
    signal: AbortSignal;
    report: (event: StructureEvent) => void;
    /** See BuildDeps. */
    awayMs?: number | undefined;
  }>;

/** `a.b` is at, above or below one of the masked paths: all of these have values of it. */
const touches = (path: string, other: string): boolean =>
  path === other || path.startsWith(`${other}.`) || other.startsWith(`${path}.`);

const fieldMap = (route: Pick<Route, "fields">): FieldMap | undefined => {
  if (route.fields === undefined) return undefined;
  const filter = new RouteFilter({ fields: route.fields });
  const masks = Object.entries(route.fields.mask ?? {}).map(
    ([path, mask]) => [fieldNames(path, "mask").join("."), mask] as const,
  );
  return {
    path: (path) => filter.targetPath(path),
    masked: (path) => {
      const [, mask] = masks.find(([other]) => touches(path, other)) ?? [];
      if (mask === undefined) return undefined;
      return "sha256" in mask ? "distinct" : "alike";
    },
  };
};

/** What field rules and names of routes mean for structure. */
export const routed = (
  routes: readonly Pick<Route, "from" | "to" | "fields" | "where">[],
): readonly RoutedNamespace[] =>
  routes.filter(isMongo).map((route) => ({
    from: route.from,
    to: route.to.mongodb,
    fields: fieldMap(route),
    chosen: route.where !== undefined,
    byText: comparesText(route.where),
  }));

/** Which process answers; undefined where it does not say so. */
const processOf = async (client: MongoClient): Promise<string | undefined> => {
  const hello = await translated("asking a server who it is", () => client.db("admin").command({ hello: 1 }));
  const version = hello["topologyVersion"] as Document | undefined;
  return version === undefined ? undefined : String(version["processId"]);
};

/** @throws FERRY_STRUCTURE_SAME */
const requireApart = async ({ source, target }: PlanDeps, wanted: readonly Wanted[]): Promise<void> => {
  const onto = wanted.find(({ from, spec }) => from === formatNamespace(spec.ns));
  if (onto === undefined) return;
  const [one, other] = await Promise.all([processOf(source), processOf(target)]);
  if (one !== undefined && one === other)
    throw new FerryError("FERRY_STRUCTURE_SAME", `${onto.from} would be copied onto itself`);
};

/** Collections of the target that the source no longer has, and that were not written to since. */
const emptyAmong = async (
  target: MongoClient,
  present: readonly CollectionSpec[],
  wanted: readonly Wanted[],
): Promise<ReadonlySet<string>> => {
  const names = new Set(wanted.map(({ spec }) => formatNamespace(spec.ns)));
  const empty = new Set<string>();
  for (const { ns, kind } of present) {
    if (kind === "view" || names.has(formatNamespace(ns))) continue;
    if (!(await hasDocuments(target.db(ns.db), ns.coll))) empty.add(formatNamespace(ns));
  }
  return empty;
};

export type BuildPlanOptions = Readonly<{
  /** The selected target namespaces are emptied first. */
  replace?: boolean;
  /** What was selected may be gone on the source by now. */
  mayLack?: boolean;
  /**
   * The stream is followed from before these were built: if the source has created one of them again since, in a way that this one
   * cannot take, its drop is still to come, and is no reason to refuse.
   */
  followed?: boolean;
}>;

export type StructurePlan = BuildPlan & Readonly<{ wanted: readonly Wanted[] }>;

const isRefused = ({ level }: StructureFinding): boolean => level === "refused";

/** Routes within the selection whose targets have no structure: they are left out, and that is no secret. */
const unbuilt = ({ routes = [] }: PlanDeps, names: NamespaceFilter): readonly Route[] =>
  routes.filter(({ from, to }) => names.has(parseNamespace(from)) && !abilitiesOf(to).structure);

const leftOut = ({ name, to }: Route): StructureFinding => ({
  level: "left-out",
  ns: destinationText(to),
  reason: `route ${name}: this kind of target has no options, indexes and views`,
});

/** What is to be built, and what cannot be. Reads both sides, writes nothing. @throws FERRY_STRUCTURE_SELECTION, FERRY_STRUCTURE_SAME, FERRY_USAGE, FERRY_MONGO_* */
export const planOf = async (
  deps: PlanDeps,
  { replace = false, mayLack = false, followed = false }: BuildPlanOptions = {},
): Promise<StructurePlan> => {
  const { source, target, state, include, exclude } = deps;
  const routes = deps.routes === undefined ? undefined : routed(deps.routes);
  const selection = new Selection({ routes, include, exclude });
  const [{ collections }, { version }] = await Promise.all([
    readStructure(source, selection.scope),
    readTopology(target),
  ]);
  const without = unbuilt(deps, new NamespaceFilter({ include, exclude }));
  const elsewhere = without.map(({ from }) => parseNamespace(from));
  if (!mayLack) selection.requireFound(collections, elsewhere);
  const { wanted, findings } = wantedStructure(collections, selection);
  await requireApart(deps, wanted);
  const journal = (await readJournal(state)).filter(({ from }) => selection.includes(from));
  const names = new Set([...wanted.map(({ spec }) => formatNamespace(spec.ns)), ...journal.map(({ _id }) => _id.ns)]);
  const databases = [...new Set([...names].map((name) => name.slice(0, name.indexOf("."))))];
  const scope = { databases, includes: (ns: Namespace) => names.has(formatNamespace(ns)) };
  const present = await readStructure(target, scope);
  const plan = planStructure({
    wanted,
    target: present.collections,
    journal,
    abilities: serverAbilitiesOf(version),
    replace,
    empty: await emptyAmong(target, present.collections, wanted),
    stateDb: state.name,
  });
  const built = new Set(followed ? journal.map(({ _id }) => _id.ns) : []);
  const still = plan.findings.filter((finding) => !(isRefused(finding) && built.has(finding.ns)));
  return { wanted, steps: plan.steps, findings: [...findings, ...without.map(leftOut), ...still] };
};

/** @throws FERRY_STRUCTURE_REFUSED with every reason */
export const requirePossible = ({ findings }: BuildPlan): void => {
  const refused = findings.filter(isRefused);
  if (refused.length === 0) return;
  const reasons = refused.map(({ ns, index, reason }) => `${ns}${index === undefined ? "" : ` (${index})`}: ${reason}`);
  throw new FerryError("FERRY_STRUCTURE_REFUSED", reasons.join("; "), { facts: { refused } });
};

export type Built = Readonly<{ plan: StructurePlan; failures: readonly Failure[] }>;

/**
 * Builds what is missing on the target, with everything deferred that would reject or delete documents on their way.
 * After a kill it is called again. `replace` empties the selected namespaces and forgets their routes' positions first.
 * @throws FERRY_STRUCTURE_REFUSED before anything is written, and what `planOf` throws
 */
export const buildStructure = async (deps: StructureDeps, options: BuildPlanOptions = {}): Promise<Built> => {
  const plan = await planOf(deps, options);
  requirePossible(plan);
  const { target, journal, clock, signal, report, awayMs } = deps;
  await journal.rememberAsked(deps);
  if (options.replace === true) await forgetRoutes(deps.state, routeNames(deps, plan));
  const failures = await carryOut({ target, store: journal, clock, signal, report, awayMs }, plan);
  // Another client may have made a collection in between: what is there counts, not what was sent.
  const left = await planOf(deps, { mayLack: true });
  const refused = left.findings.filter(isRefused).map(({ ns, index = "", reason }) => ({ ns, index, reason }));
  return { plan, failures: [...failures, ...refused] };
};

/** Routes that go into the planned namespaces, and into what time series keep beside them. */
export const routeNames = ({ routes }: PlanDeps, { wanted }: StructurePlan): readonly string[] => {
  const buckets = wanted
    .filter(({ spec }) => spec.kind === "timeseries")
    .map(({ from }) => formatNamespace(bucketsOf(parseNamespace(from))));
  const topics = new Set([...wanted.map(({ from }) => from), ...buckets]);
  const planned = [...topics].flatMap((topic) => routesOn(routes, topic));
  return planned.filter(({ to }) => abilitiesOf(to).structure).map(({ name }) => name);
};

export type FinalizeOptions = Omit<StructureDeps, "source" | "include" | "exclude"> &
  Readonly<{
    /** Undefined where only the target can be asked. */
    source: MongoClient | undefined;
  }>;

/** Indexes that the source has begun, and may give up. */
const unfinished = ({ spec: { ns, building = [] } }: Wanted): readonly Failure[] =>
  building.map((index) => ({ ns: formatNamespace(ns), index, reason: "the source is still building it" }));

/** What the source has by now, of everything that builds were asked for. */
const buildAll = async (deps: FinalizeOptions, asked: readonly NamespaceSpec[]): Promise<readonly Failure[]> => {
  const { source } = deps;
  if (source === undefined) return [];
  const failures: Failure[] = [];
  for (const { include, exclude } of asked) {
    const { plan, failures: refused } = await buildStructure({ ...deps, source, include, exclude }, { mayLack: true });
    failures.push(...refused, ...plan.wanted.flatMap(unfinished));
  }
  return failures;
};

/**
 * Restores deferred constraints. With a source, its new structure is built first. The caller makes sure that nothing is
 * on its way any more.
 * @param asked what is to be built first; otherwise all that builds were asked for
 * @returns what could not be restored
 */
export const finalize = async (deps: FinalizeOptions, asked?: NamespaceSpec): Promise<readonly Failure[]> => {
  const { source, target, journal, clock, signal, report, awayMs } = deps;
  const built = await buildAll(deps, asked === undefined ? await journal.asked() : [asked]);
  const failed = new Set(built.map(({ ns, index }) => `${ns}\0${index}`));
  const records = (await journal.all()).filter(({ _id }) => !failed.has(`${_id.ns}\0${_id.index}`));
  const left = await finalizeStructure({ source, target, store: journal, clock, signal, report, awayMs }, records);
  return [...built, ...left];
};

/** @throws FERRY_STRUCTURE_INCOMPLETE */
export const requireComplete = (failures: readonly Failure[]): void => {
  if (failures.length === 0) return;
  const reasons = failures.map(({ ns, index, reason }) => `${ns}${index === "" ? "" : ` (${index})`}: ${reason}`);
  throw new FerryError("FERRY_STRUCTURE_INCOMPLETE", reasons.join("; "), { facts: { failures } });
};
