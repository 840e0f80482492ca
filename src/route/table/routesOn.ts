import { isMongo } from "#base/config/destination.ts";
import { nameOf, plainRoute, type Route } from "#base/config/routes.ts";
import { bucketsOf, seriesOf } from "#base/flow/buckets.ts";
import { formatNamespace, parseNamespace } from "#base/flow/types.ts";

const buckets = (name: string): string => formatNamespace(bucketsOf(parseNamespace(name)));

/**
 * What carries the measurements of a time series beside the route of its name. None where that route would change or choose
 * documents: measurements lie packed in buckets, and no rule can be kept there. Buckets are the server's own in shape, so
 * nothing is noted of their fields.
 */
export const bucketRoutes = (route: Route): readonly Route[] => {
  if (route.fields !== undefined || route.where !== undefined || !isMongo(route)) return [];
  const [from, to] = [buckets(route.from), { mongodb: buckets(route.to.mongodb) }];
  return [{ ...route, name: nameOf(from, to), from, to, drift: { newField: "pass", typeChange: "pass", depth: 0 } }];
};

/** The routes that read a topic. `routes` undefined: every topic goes to the namespace of its name. */
export const routesOn = (routes: readonly Route[] | undefined, topic: string): readonly Route[] => {
  const series = seriesOf(parseNamespace(topic));
  const from = series === undefined ? topic : formatNamespace(series);
  const found = routes?.filter((route) => route.from === from) ?? [plainRoute(from)];
  return series === undefined ? found : found.flatMap(bucketRoutes);
};

/** The route of this name; undefined where there is none. */
export const routeNamed = (routes: readonly Route[] | undefined, name: string): Route | undefined =>
  routes === undefined
    ? routesOn(undefined, name)[0]
    : routes.flatMap((route) => [route, ...bucketRoutes(route)]).find((route) => route.name === name);
