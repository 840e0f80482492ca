import { createHash } from "node:crypto";
import { MarkStore } from "#apply/conflict/marks.ts";
import { DeadLetterStore } from "#apply/deadletter/deadLetterStore.ts";
import { RunStore } from "#apply/lanes/runStore.ts";
import { destinationRules, targetNamespace } from "#base/config/destination.ts";
import type { Route } from "#base/config/routes.ts";
import type { Clock } from "#base/flow/clock.ts";
import { parseNamespace } from "#base/flow/types.ts";
import type { MongoClient } from "#io/mongo/connect.ts";
import type { StateDb } from "#io/state/stateDb.ts";
import { DriftLedger } from "#route/drift/ledger.ts";
import { excusedBy } from "./excuses.ts";
import { expectationOf } from "./expectation.ts";
import type { Pair } from "./pair.ts";
import type { Judged } from "./verification.ts";

export type PairDeps = Readonly<{
  source: MongoClient;
  target: MongoClient;
  state: StateDb;
  /** Everything that the source committed up to this clusterTime is on the target, of one topic. */
  applied: (topic: string) => Promise<bigint | undefined>;
  clock: Clock;
  signal: AbortSignal;
}>;

/** What was compared by other rules proves nothing. */
const rulesDigest = ({ fields, where, drift, to }: Route, policy: string): string =>
  createHash("sha256")
    .update(JSON.stringify([fields ?? null, where ?? null, drift, policy, ...destinationRules(to)]))
    .digest("hex");

/** What is to be compared for a route: what its rules, its drift and its conflict policy leave on the target. @throws FERRY_MONGO_* */
export const judgedBy = async (route: Route, deps: PairDeps): Promise<Omit<Judged, "readTarget">> => {
  const { source, state, applied } = deps;
  const runs = new RunStore(state, "");
  const begun = (await runs.run(route.name))?.begun;
  const policy = begun?.policy ?? route.conflict ?? "mirror";
  const letters = new DeadLetterStore(state);
  return {
    route: route.name,
    source: { client: source, ns: parseNamespace(route.from) },
    ...(await expectationOf(route, policy, new DriftLedger(state))),
    policy,
    rules: rulesDigest(route, policy),
    applied: () => applied(route.from),
    excused: excusedBy({ ...deps, route: route.name, begun, letters, marks: new MarkStore(state), runs }),
  };
};

/** A route that goes to a collection. @throws FERRY_MONGO_* */
export const pairOf = async (route: Route, deps: PairDeps): Promise<Pair> => ({
  ...(await judgedBy(route, deps)),
  target: { client: deps.target, ns: targetNamespace(route) },
});
