import type { Route } from "#base/config/routes.ts";
import { FerryError, isFerry } from "#base/errors/ferryError.ts";
import type { TargetSite } from "#io/state/targetSite.ts";
import { type AskedOfTargets, type Misfit, misfitsOf } from "./demands.ts";
import { abilitiesOf, kindOfSink, type PlaceDeps } from "./openSink.ts";

/** Rules of a destination that contradict themselves. */
const contradictions = ({ name, to }: Route): readonly Misfit[] => {
  try {
    kindOfSink(to).requireRules(to);
    return [];
  } catch (error) {
    if (!isFerry(error, "FERRY_CONFIG")) throw error;
    return [{ code: error.code, sentence: `route ${name}: ${error.detail}`, remedy: undefined }];
  }
};

/**
 * All that the targets of routes cannot do of what is asked.
 * @param routes those that are meant; undefined: every topic goes to the namespace of its name
 * @param site undefined while the target is not connected: then what it can do at best counts
 */
export const misfitsAt = (
  routes: readonly Route[] | undefined,
  asked: AskedOfTargets,
  site?: TargetSite,
): readonly Misfit[] => [
  ...(routes ?? []).flatMap(contradictions),
  ...misfitsOf(routes, asked, ({ to }) => abilitiesOf(to, site)),
];

/**
 * Refuses, before anything is written, what a target could only refuse later; see `misfitsAt`.
 * @throws FERRY_CONFIG, FERRY_TARGET_POLICY, FERRY_TARGET_ABILITY, FERRY_TARGET_LEFTOVERS with every reason of the first one's kind
 */
export const requireFits = (...given: Parameters<typeof misfitsAt>): void => {
  const misfits = misfitsAt(...given);
  const [first] = misfits;
  if (first === undefined) return;
  const alike = misfits.filter(({ code }) => code === first.code);
  const reasons = alike.map(({ sentence, remedy }) => (remedy === undefined ? sentence : `${sentence}: ${remedy}`));
  throw new FerryError(first.code, reasons.join("; "));
};

/** Refuses, before anything is written, places that cannot take their routes' documents. @throws one clear sentence of the place's kind */
export const requirePlaces = async (routes: readonly Route[], deps: PlaceDeps): Promise<void> => {
  for (const { to } of routes) await kindOfSink(to).requirePlace(to, deps);
};
