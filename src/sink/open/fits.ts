import type { Route } from "#base/config/routes.ts";
import { FerryError, isFerry } from "#base/errors/ferryError.ts";
import type { Abilities } from "#sink/sink.ts";
import { kindOfSink, type PlaceDeps } from "./openSink.ts";

/** What a route wants and its target cannot do; undefined where it fits. */
export const misfitOf = ({ conflict = "mirror" }: Pick<Route, "conflict">, can: Abilities): string | undefined =>
  conflict !== "mirror" && !can.foreignWrites
    ? `${conflict} needs to know what others write to the target, and this kind of target does not tell`
    : undefined;

const misfit = (route: Route): string | undefined => {
  const { can, requireRules } = kindOfSink(route.to);
  try {
    requireRules(route.to);
  } catch (error) {
    if (isFerry(error, "FERRY_CONFIG")) return error.detail;
    throw error;
  }
  return misfitOf(route, can);
};

/** Refuses, before anything is opened, what a target could only refuse later. @throws FERRY_CONFIG */
export const requireFits = (routes: readonly Route[]): void => {
  for (const route of routes) {
    const flaw = misfit(route);
    if (flaw !== undefined) throw new FerryError("FERRY_CONFIG", `route ${route.name}: ${flaw}`);
  }
};

/** Refuses, before anything is written, places that cannot take their routes' documents. @throws one clear sentence of the place's kind */
export const requirePlaces = async (routes: readonly Route[], deps: PlaceDeps): Promise<void> => {
  for (const { to } of routes) await kindOfSink(to).requirePlace(to, deps);
};
