import { isMongo, targetNamespace } from "#base/config/destination.ts";
import type { Route } from "#base/config/routes.ts";
import { parseNamespace } from "#base/flow/types.ts";
import { collationOf } from "#io/mongo/collation.ts";
import { routesOn } from "#route/table/routesOn.ts";
import type { Sides } from "./openSides.ts";

/**
 * Does a collection compare text by a rule of its own, on either side? What the stream still has of a former incarnation may be
 * under the other rule than the source has now. @throws FERRY_MONGO_*
 */
export const isCollated = async (
  { source, target }: Pick<Sides, "source" | "target">,
  routes: readonly Route[] | undefined,
  topic: string,
): Promise<boolean> => {
  if ((await collationOf(source, parseNamespace(topic))) !== undefined) return true;
  for (const route of routesOn(routes, topic).filter(isMongo))
    if ((await collationOf(target, targetNamespace(route))) !== undefined) return true;
  return false;
};
