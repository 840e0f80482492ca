import fc from "fast-check";
import { plainRoute, type Route } from "#base/config/routes.ts";
import type { AskedOfTargets } from "#sink/open/demands.ts";
import type { Abilities } from "#sink/sink.ts";

/** Any sink. */
export const anyAbilities: fc.Arbitrary<Abilities> = fc.record({
  transactions: fc.boolean(),
  structure: fc.boolean(),
  foreignWrites: fc.boolean(),
  incarnations: fc.boolean(),
  keys: fc.boolean(),
  patches: fc.boolean(),
  verbatim: fc.boolean(),
});

const policies = ["mirror", "merge", "keep-target"] as const;

export const anyRoute: fc.Arbitrary<Route> = fc
  .option(fc.constantFrom(...policies), { nil: undefined })
  .map((conflict) => ({ ...plainRoute("test.users"), ...(conflict === undefined ? {} : { conflict }) }));

/** Of all routes: what the command line and the rest of the configuration ask. */
export const anyAsked: fc.Arbitrary<Required<AskedOfTargets>> = fc.record({
  conflict: fc.constantFrom("refuse", ...policies),
  deltas: fc.constantFrom("look-up", "apply"),
  accept: fc.constantFrom("", "FERRY_TARGET_LEFTOVERS"),
  source: fc.boolean(),
  ddl: fc.constantFrom({}, { drop: "apply" }, { drop: "hold" }),
  recopy: fc.boolean(),
  replaceTarget: fc.boolean(),
});

/** The policy that a route has under these flags. */
export const policyUnder = ({ conflict }: Route, asked: Required<AskedOfTargets>): (typeof policies)[number] =>
  conflict ?? (asked.conflict === "refuse" ? "mirror" : asked.conflict);

/** Each ability that a route needs under these flags: what docs/43-sinks.md says, in other words than the code. */
export const neededBy = (route: Route, asked: Required<AskedOfTargets>): readonly (keyof Abilities)[] => {
  const needed = new Set<keyof Abilities>();
  const isMirror = policyUnder(route, asked) === "mirror";
  if (!isMirror)
    for (const ability of ["foreignWrites", "transactions", "keys", "verbatim"] as const) needed.add(ability);
  if (asked.deltas === "apply" || !asked.source) needed.add("patches");
  if (asked.ddl.drop === "apply") needed.add("incarnations");
  if (asked.accept === "" && asked.replaceTarget) needed.add("structure");
  if (asked.accept === "" && asked.recopy && isMirror) needed.add("keys");
  return [...needed];
};
