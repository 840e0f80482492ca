import type { Route } from "#base/config/routes.ts";
import { kindOfSink } from "#sink/open/openSink.ts";
import { type KeptDeps, keptRoute } from "./keptRoute.ts";
import { comparedPair } from "./pair.ts";
import { pairOf } from "./routePairs.ts";
import type { Compared } from "./verification.ts";

/** A route as it is compared, whatever its target is. @throws FERRY_MONGO_*, what its sink throws */
export const comparedRoute = async (route: Route, deps: KeptDeps): Promise<Compared> =>
  kindOfSink(route.to).can.verbatim ? comparedPair(await pairOf(route, deps)) : keptRoute(route, deps);
