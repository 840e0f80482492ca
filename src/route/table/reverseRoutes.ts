import { destinationText, isMongo, targetNamespace } from "#base/config/destination.ts";
import { nameOf, type Route } from "#base/config/routes.ts";
import { formatNamespace } from "#base/flow/types.ts";
import { RouteFilter } from "#route/filter/routeFilter.ts";
import { routesOn } from "./routesOn.ts";

/** Where documents of a namespace of the source are on the target. */
export const targetsOf = (routes: readonly Route[] | undefined, name: string): readonly string[] =>
  routesOn(routes, name)
    .filter(isMongo)
    .map((route) => formatNamespace(targetNamespace(route)));

/** Why what a route made of documents cannot be carried back; undefined where it can. */
export const obstacleBack = ({ name, where, fields, to }: Route): string | undefined => {
  if (!("mongodb" in to)) return `${name}: ${destinationText(to)} is no collection that services write to`;
  if (where !== undefined)
    return `${name}: \`where\` keeps documents on the source that the target never had; which of them a change means is not known`;
  const masked = Object.keys(fields?.mask ?? {});
  return masked.length === 0
    ? undefined
    : `${name}: ${masked.join(", ")} is masked, and its values cannot be made readable again`;
};

/** A pool beside a collection is fed from the source again when services are there: it is no obstacle. */
const isBeside = (route: Route, routes: readonly Route[]): boolean =>
  !isMongo(route) && routes.some((other) => other.from === route.from && isMongo(other));

/** Every reason why not all of these can be carried back. */
export const obstaclesBack = (routes: readonly Route[]): readonly string[] =>
  routes.filter((route) => !isBeside(route, routes)).flatMap((route) => obstacleBack(route) ?? []);

/** Those that can be carried back, the other way. */
export const routesBack = (routes: readonly Route[] | undefined): readonly Route[] | undefined =>
  routes?.filter((route) => obstacleBack(route) === undefined).map(routeBack);

const lastName = (path: string): string => path.slice(path.lastIndexOf(".") + 1);

const fieldsBack = (fields: NonNullable<Route["fields"]>): NonNullable<Route["fields"]> => {
  const filter = new RouteFilter({ fields });
  const on = (path: string): string => filter.targetPath(path) ?? path;
  const { allow, deny, rename } = fields;
  const renamed = Object.keys(rename ?? {}).map((path) => [on(path), lastName(path)] as const);
  return {
    ...(allow === undefined ? {} : { allow: allow.map(on) }),
    ...(deny === undefined ? {} : { deny: [...deny] }),
    ...(renamed.length === 0 ? {} : { rename: Object.fromEntries(renamed) }),
  };
};

/**
 * The same route, the other way. Where it leaves fields out, only those that it carries are written: the source keeps the rest.
 * Routes with an obstacle are not asked for.
 */
export const routeBack = (route: Route): Route => {
  const { from, fields, drift } = route;
  const target = formatNamespace(targetNamespace(route));
  const to = { mongodb: from };
  const names = { name: nameOf(target, to), from: target, to };
  const plain = { ...drift, newField: "pass", typeChange: "pass" } as const;
  if (fields === undefined) return { ...names, drift: plain, conflict: "mirror" };
  return {
    ...names,
    drift: { ...plain, depth: Math.max(1, drift.depth) },
    fields: fieldsBack(fields),
    conflict: "merge",
  };
};
