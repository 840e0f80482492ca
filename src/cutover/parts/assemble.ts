import { switchRoutes } from "#apply/lanes/switchedRoutes.ts";
import type { Route } from "#base/config/routes.ts";
import { FerryError } from "#base/errors/ferryError.ts";
import type { Clock } from "#base/flow/clock.ts";
import { formatNamespace, type Namespace, parseNamespace } from "#base/flow/types.ts";
import type { Logger } from "#base/observe/log.ts";
import { type FenceChoice, fenceOf } from "#cutover/fence/fence.ts";
import type { Parts, Services, SourceTime, Watchman } from "#cutover/machine/parts.ts";
import type { KafkaClient } from "#io/kafka/client.ts";
import { requireKafka } from "#io/kafka/requireKafka.ts";
import type { MongoClient } from "#io/mongo/connect.ts";
import type { StateDb } from "#io/state/stateDb.ts";
import { routesOn } from "#route/table/routesOn.ts";
import { RunControl, type Unrestored } from "#source/capture/captureLifecycle.ts";
import type { ConnectRest } from "#source/connector/connectRest.ts";
import { readCarriedRun } from "./carriedRun.ts";
import { Connectors } from "./connectors.ts";
import { DeferredStructure } from "./deferredStructure.ts";
import { FerryCapture } from "./ferryCapture.ts";
import { HookRelease } from "./hookRelease.ts";
import { VerifiedProof } from "./proof.ts";
import { TargetPosition } from "./targetPosition.ts";

export type AssemblyDeps = Readonly<{
  source: MongoClient;
  target: MongoClient;
  state: StateDb;
  kafka: KafkaClient | undefined;
  /** Kafka Connect, where connectors capture; undefined where ferry does. */
  connect: ConnectRest | undefined;
  routes: readonly Route[] | undefined;
  /** Of the source; empty: everything that is carried. */
  named: readonly string[];
  fence: FenceChoice;
  onRelease: string | undefined;
  /** Where more than a command sends them. */
  services?: Services | undefined;
  accepted: readonly string[];
  /** See ProofDeps. */
  verifyRest: boolean;
  verify: string;
  maxLagMs: number;
  watchman: Watchman;
  clock: Clock;
  logger: Logger;
  signal: AbortSignal;
  /** What happens after the release, as sentences. */
  tell: (sentence: string) => void;
}>;

/** Everything that a cutover acts on, in any topology. @throws FERRY_CUTOVER_FENCE, FERRY_USAGE */
export const assemble = (deps: AssemblyDeps): Parts => {
  const { source, target, state, named, accepted, tell } = deps;
  const namespaces = async (): Promise<readonly Namespace[]> => {
    const carried = (await readCarriedRun(state)).topics.map(({ name }) => name);
    const unknown = named.find((name) => !carried.includes(name));
    if (unknown !== undefined) throw new FerryError("FERRY_USAGE", `${unknown} is not carried by this run`);
    return (named.length === 0 ? carried : named).map(parseNamespace);
  };
  const has = (ns: string): boolean => named.length === 0 || named.includes(ns);
  const only =
    named.length === 0
      ? undefined
      : new Set(named.flatMap((name) => routesOn(deps.routes, name)).map(({ name }) => name));
  const deferred = new DeferredStructure({ ...deps, has });
  const partly = named.length > 0;
  const moved = async (at: SourceTime): Promise<void> => {
    for (const topic of (await namespaces()).map(formatNamespace)) {
      const routes = routesOn(deps.routes, topic).map(({ name }) => name);
      await switchRoutes(state, topic, routes, at);
    }
  };
  const restoreRest = (signal: AbortSignal): Promise<readonly Unrestored[]> => deferred.restoreRest(signal);
  return {
    capture:
      deps.connect === undefined
        ? new FerryCapture({
            ...deps,
            control: new RunControl(state),
            partly,
            only,
            has,
            moved,
            restoreRest,
            say: () => undefined,
            tell,
          })
        : new Connectors({
            ...deps,
            kafka: requireKafka(deps.kafka),
            rest: deps.connect,
            partly,
            only,
            has,
            moved,
            restoreRest,
          }),
    fence: fenceOf(deps.fence, { source, namespaces, named, clock: deps.clock }),
    proof: new VerifiedProof({ ...deps, has, only, accepted: new Set(accepted) }),
    deferred,
    wayBack: new TargetPosition(target, state.name),
    services: deps.services ?? new HookRelease(deps.onRelease, named),
    watchman: deps.watchman,
  };
};
