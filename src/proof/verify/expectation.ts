import { merge, remainder } from "#apply/conflict/merge.ts";
import type { Route } from "#base/config/routes.ts";
import type { DriftLedger } from "#route/drift/ledger.ts";
import { RouteFilter } from "#route/filter/routeFilter.ts";
import { differenceOf } from "./difference.ts";
import { DriftView } from "./driftView.ts";
import type { Expect, Onto } from "./pairedRange.ts";

/** What a route should leave on the target: its drift policy, its rules and who owns which fields, in the pipeline's order. */
export type Expectation = Readonly<{
  /** Undefined where documents are carried as they are. */
  expect: Expect | undefined;
  onto: Onto | undefined;
  /** Both depend on what the pipeline has met: brings them up to date. @throws FERRY_MONGO_* */
  learn: () => Promise<void>;
}>;

/** An update may have added the source's fields in another order than a write of the whole document would. */
const exceptOrder = (wanted: Uint8Array, actual: Uint8Array): Uint8Array =>
  differenceOf(wanted, actual)?.kind === "field-order" ? actual : wanted;

/** What a write of the source's document would leave of the target's; a delete, where the source has none. */
const mergedOnto =
  (drift: DriftView): Onto =>
  (expected, actual) => {
    const isSource = (path: string): boolean => drift.carries(path);
    return expected === undefined
      ? remainder(actual, isSource)
      : exceptOrder(merge(actual, expected, isSource), actual);
  };

/** Documents from before and after a decision are both right. */
const decidedOnto =
  (drift: DriftView): Onto =>
  (expected, actual) =>
    expected !== undefined && drift.alike(expected, actual) ? actual : expected;

/** @param conflict the policy that the route began with. @throws FERRY_CONFIG, FERRY_MONGO_* */
export const expectationOf = async (
  route: Route,
  conflict: Route["conflict"],
  ledger: DriftLedger,
): Promise<Expectation> => {
  const { fields, where } = route;
  const filter = fields === undefined && where === undefined ? undefined : new RouteFilter(route);
  const rules = filter === undefined ? undefined : (document: Uint8Array) => filter.document(document);
  const drift =
    route.drift.depth === 0
      ? undefined
      : await DriftView.open(ledger, route, (path) => (filter === undefined ? path : filter.targetPath(path)));
  if (drift === undefined) return { expect: rules, onto: undefined, learn: async () => undefined };
  if (drift.isPlain && conflict !== "merge") return { expect: rules, onto: undefined, learn: async () => undefined };
  const carried = (document: Uint8Array): Uint8Array | undefined => {
    const left = drift.carried(document);
    return filter === undefined ? left : filter.document(left);
  };
  const onto = conflict === "merge" ? mergedOnto(drift) : decidedOnto(drift);
  return { expect: drift.isPlain ? rules : carried, onto, learn: () => drift.learn() };
};
