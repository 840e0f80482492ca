import { FerryError } from "#base/errors/ferryError.ts";
import { isMongo } from "./destination.ts";
import type { Route } from "./routes.ts";
import { resolveSettings, type SettingFlags, type Settings } from "./settings.ts";

/**
 * Settings of a command about routes. It needs a target where a route goes to a collection; without one, `state`, since ferry's own
 * database is on the target otherwise.
 * @param routes undefined carries every topic to the collection of its name
 * @throws FERRY_USAGE naming the first setting that is missing, and as `resolveSettings`
 */
export const resolveCarrying = <K extends keyof Settings>(
  flags: SettingFlags,
  routes: readonly Route[] | undefined,
  need: readonly K[],
): ReturnType<typeof resolveSettings<K>> => {
  const settings = resolveSettings(flags, need);
  if (settings.target !== undefined) return settings;
  if (routes === undefined || routes.some(isMongo)) return resolveSettings(flags, [...need, "target"]);
  if (settings.state === undefined)
    throw new FerryError(
      "FERRY_USAGE",
      "state is not set, and without --target ferry has no place of its own: no route goes to MongoDB, so give --state or FERRY_STATE, a MongoDB that may also be the source",
    );
  return settings;
};
