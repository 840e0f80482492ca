import type { Route } from "#base/config/routes.ts";
import { assert, FerryError } from "#base/errors/ferryError.ts";
import { NamespacePattern, type NamespaceSpec } from "#base/flow/namespaceFilter.ts";
import { type CutoverRecord, isSwitchedBy } from "#cutover/machine/record.ts";
import type { Back } from "#process/capture/captureStart.ts";
import { reverseState } from "#process/capture/stateNames.ts";
import { obstaclesBack, routesBack, targetsOf } from "#route/table/reverseRoutes.ts";
import { routesOn } from "#route/table/routesOn.ts";
import { ResumeToken } from "#source/stream/resumeToken.ts";
import type { StartPoint } from "#source/stream/sourceProbe.ts";
import type { Meant } from "./carriedBack.ts";
import type { DirectDeps } from "./runWiring.ts";

/** Where the target stood before the first of them sent services there. @throws FERRY_ROLLBACK_NONE */
const startOf = (records: readonly CutoverRecord[]): StartPoint => {
  const [first] = records.map(({ back }) => back).sort((a, b) => (a && b ? a.at.compare(b.at) : 0));
  if (first === undefined || records.some(({ back }) => back === undefined))
    throw new FerryError("FERRY_ROLLBACK_NONE", "its cutover noted no position: the target has no change stream");
  return { token: ResumeToken.stored(first.token), at: first.at };
};

/** What the forward run remembers lies beside the documents, on the side that is read now. */
const withoutState = ({ include, exclude }: NamespaceSpec, stateDb: string): NamespaceSpec => {
  const isMeant = include.length === 0 || include.some((text) => new NamespacePattern(text).matchesDatabase(stateDb));
  return { include, exclude: isMeant ? [...exclude, `${stateDb}.*`] : exclude };
};

/** What of the target is carried back: what was sent over by name, and where everything was, what the operator selects. */
const scopeBack = (records: readonly CutoverRecord[], routes: readonly Route[] | undefined, spec: NamespaceSpec) => {
  const named = records.flatMap(({ namespaces }) => namespaces).flatMap((name) => targetsOf(routes, name));
  if (records.every(({ namespaces }) => namespaces.length > 0)) return { include: named, exclude: spec.exclude };
  return { include: spec.include.length === 0 ? [] : [...spec.include, ...named], exclude: spec.exclude };
};

/** The routes of what was sent over. */
const routesOf = (records: readonly CutoverRecord[], routes: readonly Route[] | undefined) =>
  routes?.filter(({ from }) => records.some((record) => isSwitchedBy(record, from)));

/** What a run the other way does otherwise than the run that was switched over. */
export type TurnedBack = Pick<
  DirectDeps,
  "settings" | "routes" | "spec" | "options" | "structure" | "recopy" | "replaceTarget"
> &
  Readonly<{ back: Back }>;

/**
 * The run that was switched over, the other way: its sides and routes are exchanged, and nothing is copied. Pure.
 * @throws FERRY_ROLLBACK_ROUTE with every reason, FERRY_ROLLBACK_NONE where no position was noted
 */
export const turnedBack = (
  deps: Pick<DirectDeps, "settings" | "routes" | "spec" | "options">,
  { behind, records, added }: Meant,
): TurnedBack => {
  const { settings, spec, options } = deps;
  assert(settings.target !== undefined, "only what went to a target can be carried back");
  const routes = routesOf(records, deps.routes);
  const obstacles = obstaclesBack(routes ?? []);
  if (obstacles.length > 0) throw new FerryError("FERRY_ROLLBACK_ROUTE", obstacles.join("; "));
  const back = routesBack(routes);
  const begun = added.flatMap(({ namespaces }) => namespaces).flatMap((name) => targetsOf(routes, name));
  const stateDb = reverseState(settings.stateDb);
  return {
    settings: { ...settings, source: settings.target, target: settings.source, state: undefined, stateDb },
    routes: back,
    spec: withoutState(scopeBack(records, routes, spec), settings.stateDb),
    // The former source has documents: they are the ones that the forward run carried.
    options: { ...options, conflict: options.conflict === "refuse" ? "mirror" : options.conflict },
    structure: false,
    recopy: false,
    replaceTarget: false,
    back: {
      behind,
      start: startOf(added.length > 0 ? added : records),
      begun: begun.flatMap((name) => routesOn(back, name)).map(({ name }) => name),
    },
  };
};
