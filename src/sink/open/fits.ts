import type { Route } from "#base/config/routes.ts";
import { FerryError } from "#base/errors/ferryError.ts";
import type { Abilities } from "#sink/sink.ts";
import { abilitiesOf } from "./openSink.ts";

/** What a route wants and its target cannot do; undefined where it fits. */
export const misfitOf = ({ conflict = "mirror" }: Pick<Route, "conflict">, can: Abilities): string | undefined =>
  conflict !== "mirror" && !can.foreignWrites
    ? `${conflict} needs to know what others write to the target, and this kind of target does not tell`
    : undefined;

/** Refuses, before anything is opened, what a target could only refuse later. @throws FERRY_CONFIG */
export const requireFits = (routes: readonly Route[]): void => {
  for (const route of routes) {
    const misfit = misfitOf(route, abilitiesOf(route.to));
    if (misfit !== undefined) throw new FerryError("FERRY_CONFIG", `route ${route.name}: ${misfit}`);
  }
};
