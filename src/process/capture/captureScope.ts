import type { Route } from "#base/config/routes.ts";
import type { NamespaceSpec } from "#base/flow/namespaceFilter.ts";
import { Scope } from "#source/stream/scope.ts";

/** The whole cluster by default, or a selection: by names, or by the routes of a configuration. */
export const scopeOf = (spec: NamespaceSpec, routes: readonly Route[] | undefined, stateDb: string): Scope => {
  const wanted = spec.include.length > 0 ? spec.include : (routes?.map(({ from }) => from) ?? ["*.*"]);
  return new Scope({ include: [...new Set(wanted)], exclude: spec.exclude }, stateDb);
};
