import { Scope, type ScopeSpec } from "#capture/scope.ts";
import type { Route } from "#config/routes.ts";

/** Whole cluster, unless told otherwise: by names, or by the routes of a configuration. */
export const scopeOf = (spec: ScopeSpec, routes: readonly Route[] | undefined, stateDb: string): Scope => {
  const wanted = spec.include.length > 0 ? spec.include : (routes?.map(({ from }) => from) ?? ["*.*"]);
  return new Scope({ include: [...new Set(wanted)], exclude: spec.exclude }, stateDb);
};
