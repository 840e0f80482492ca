import { ClaimStore } from "#apply/lanes/claimStore.ts";
import { switchRoutes } from "#apply/lanes/switchedRoutes.ts";
import type { Route } from "#base/config/routes.ts";
import { FerryError } from "#base/errors/ferryError.ts";
import type { Clock } from "#base/flow/clock.ts";
import { formatNamespace, type Namespace, parseNamespace } from "#base/flow/types.ts";
import type { Logger } from "#base/observe/log.ts";
import { type FenceChoice, fenceOf } from "#cutover/fence/fence.ts";
import { requirePastFence } from "#cutover/fence/pastFence.ts";
import { CutoverStore } from "#cutover/machine/cutoverStore.ts";
import type { MachineDeps } from "#cutover/machine/machine.ts";
import type { Carrier, Fence, Parts, SourceTime, Watchman } from "#cutover/machine/parts.ts";
import { RehearsalStore } from "#cutover/machine/rehearsal.ts";
import { readCarriedRun } from "#cutover/parts/carriedRun.ts";
import { Connectors } from "#cutover/parts/connectors.ts";
import { DeferredStructure } from "#cutover/parts/deferredStructure.ts";
import { FerryCapture } from "#cutover/parts/ferryCapture.ts";
import { HookRelease } from "#cutover/parts/hookRelease.ts";
import { VerifiedProof } from "#cutover/parts/proof.ts";
import { TargetPosition } from "#cutover/parts/targetPosition.ts";
import { kafkaAddress } from "#io/kafka/address.ts";
import { KafkaClient } from "#io/kafka/client.ts";
import { requireKafka } from "#io/kafka/requireKafka.ts";
import type { MongoClient } from "#io/mongo/connect.ts";
import { reachMongo } from "#io/mongo/reach.ts";
import { StateDb } from "#io/state/stateDb.ts";
import { forwardState } from "#process/capture/stateNames.ts";
import { AuditLog, type Author } from "#process/steer/auditLog.ts";
import { VerificationStore } from "#proof/verify/verificationStore.ts";
import { routesBack } from "#route/table/reverseRoutes.ts";
import { routesOn } from "#route/table/routesOn.ts";
import { RunControl } from "#source/capture/captureLifecycle.ts";
import type { ConnectRest } from "#source/connect/connectRest.ts";
import { ConnectorStore } from "#source/connector/connectorStore.ts";
import { readDeployment, requireSameSource } from "#source/stream/deployment.ts";
import { StructureStore } from "#structure/plan/structureStore.ts";
import { carriedBy } from "./carriedBy.ts";
import { servicesBack } from "./servicesBack.ts";

/** Where the servers are that only some runs have, beside the source's URI: asked for where they are needed. */
export type SwitchAddresses = Readonly<{
  source: string;
  /** Where the run goes through Kafka. @throws FERRY_CONFIG where it is not given */
  kafka: () => Readonly<{ kafka: string; kafkaConfig?: string | undefined; group: string }>;
  /** Where connectors capture. @throws FERRY_CONFIG where it is not given */
  connect: () => ConnectRest;
}>;

export type SwitchDeps = Readonly<{
  target: MongoClient;
  state: StateDb;
  /** Of the configuration, the way there. */
  routes: readonly Route[] | undefined;
  /** Of the source; empty: everything that is carried. */
  named: readonly string[];
  fence: FenceChoice;
  maxPauseMs: number;
  maxLagMs: number;
  onRelease: string | undefined;
  accepted: readonly string[];
  /** See ProofDeps. */
  verifyRest: boolean;
  /** Services go back after a cutover: the sides are the other way round. */
  isBack: boolean;
  /** Who asks for it. */
  by: Author;
  /** Which process this is. */
  owner: string;
  clock: Clock;
  logger: Logger;
  /** The operator's stop. */
  signal: AbortSignal;
  report: MachineDeps["report"];
  /** What happens after the release, as sentences. */
  tell: (sentence: string) => void;
  onRetry: MachineDeps["onRetry"];
}>;

/** What is switched over, and behind which fence. */
export type SwitchChoice = Pick<SwitchDeps, "named" | "fence">;

/** The servers of the run that is switched over, connected. */
export type SwitchServers = Readonly<{
  source: MongoClient;
  /** Where the run goes through Kafka. */
  kafka: KafkaClient | undefined;
  /** Kafka Connect, where connectors capture; undefined where ferry does. */
  connect: ConnectRest | undefined;
}>;

/** What `ferry cutover` works with. */
export type SwitchParts = Readonly<{
  source: MongoClient;
  store: CutoverStore;
  rehearsals: RehearsalStore;
  /** Of the run that is switched over, also where services go back. */
  audit: AuditLog;
  /** Everything that a cutover acts on, in any topology. @throws FERRY_CUTOVER_FENCE, FERRY_ROLLBACK_NONE, FERRY_USAGE */
  partsOf: (choice: SwitchChoice, watchman: Watchman) => Promise<Parts>;
  /** The fence alone, of a cutover that has ended. @throws FERRY_CUTOVER_FENCE */
  fenceLeft: (choice: SwitchChoice) => Fence;
}>;

/** How soon a process that does not answer counts as gone, ms. */
export const LEASE_MS = 2000;

/**
 * Makes and connects everything that one cutover or rollback works with; no other file does. Disposing of it closes the
 * connections that it has opened.
 * @throws FERRY_RUN_NONE, FERRY_ROLLBACK_NONE, FERRY_CONFIG, FERRY_CAPTURE_OTHER, FERRY_MONGO_*: one clear sentence each
 */
export const wireSwitch = async (
  deps: SwitchDeps,
  addresses: SwitchAddresses,
): Promise<SwitchParts & AsyncDisposable> => {
  const { target, state, isBack, clock, logger, signal } = deps;
  if (isBack) await requirePastFence(target);
  await using stack = new AsyncDisposableStack();
  const source = await reachMongo(addresses.source, {
    side: "source",
    appName: "ferry cutover",
    clock,
    logger,
    signal,
  });
  stack.defer(() => source.close());
  const carried = await carriedBy(state, isBack);
  if (carried.source !== undefined) requireSameSource(carried.source, await readDeployment(source));
  const kafka = carried.throughKafka ? stack.use(kafkaClient(addresses.kafka())) : undefined;
  const connect = carried.byConnectors ? addresses.connect() : undefined;
  const kept = stack.move();
  return { ...switchParts(deps, { source, kafka, connect }), [Symbol.asyncDispose]: () => kept.disposeAsync() };
};

/** The same with servers that are connected already. */
export const switchParts = (deps: SwitchDeps, servers: SwitchServers): SwitchParts => {
  const { state, owner, isBack, clock } = deps;
  const { source, kafka, connect } = servers;
  const wired: Wired = {
    ...{ source, kafka, connect },
    control: new RunControl(state),
    claims: new ClaimStore(state),
    connectors: new ConnectorStore(state),
    journal: new StructureStore(state),
    verification: new VerificationStore(state),
  };
  return {
    source,
    store: new CutoverStore(state, owner, LEASE_MS),
    rehearsals: new RehearsalStore(state),
    audit: new AuditLog(isBack ? new StateDb(source, forwardState(state.name)) : state),
    partsOf: (choice, watchman) => partsOf(deps, wired, choice, watchman),
    fenceLeft: ({ named, fence }) => {
      const namespaces = async (): Promise<readonly Namespace[]> =>
        (named.length > 0 ? named : await carriedNames(state)).map(parseNamespace);
      return fenceOf(fence, { source, named, namespaces, clock });
    },
  };
};

const kafkaClient = (settings: ReturnType<SwitchAddresses["kafka"]>): KafkaClient =>
  new KafkaClient({ ...kafkaAddress(settings), clientId: "ferry-cutover", group: settings.group });

/** What every cutover of this process shares, whatever it switches. */
type Wired = SwitchServers &
  Readonly<{
    control: RunControl;
    claims: ClaimStore;
    connectors: ConnectorStore;
    journal: StructureStore;
    verification: VerificationStore;
  }>;

const carriedNames = async (state: StateDb): Promise<readonly string[]> =>
  (await readCarriedRun(state)).topics.map(({ name }) => name);

const partsOf = async (
  deps: SwitchDeps,
  wired: Wired,
  { named, fence }: SwitchChoice,
  watchman: Watchman,
): Promise<Parts> => {
  const { target, state, isBack, onRelease, verifyRest, clock } = deps;
  const { source, claims, journal, verification } = wired;
  const services = isBack
    ? await servicesBack({ source, target, state, onRelease, named, routes: deps.routes, clock })
    : new HookRelease(onRelease, named);
  const routes = isBack ? routesBack(deps.routes) : deps.routes;
  const namespaces = async (): Promise<readonly Namespace[]> => {
    const carried = await carriedNames(state);
    const unknown = named.find((name) => !carried.includes(name));
    if (unknown !== undefined) throw new FerryError("FERRY_USAGE", `${unknown} is not carried by this run`);
    return (named.length === 0 ? carried : named).map(parseNamespace);
  };
  const has = (ns: string): boolean => named.length === 0 || named.includes(ns);
  const only =
    named.length === 0 ? undefined : new Set(named.flatMap((name) => routesOn(routes, name)).map(({ name }) => name));
  const deferred = new DeferredStructure({ source, target, journal, has, accepted: deps.accepted, clock });
  const moved = async (at: SourceTime): Promise<void> => {
    for (const topic of (await namespaces()).map(formatNamespace)) {
      const names = routesOn(routes, topic).map(({ name }) => name);
      await switchRoutes({ state, claims }, topic, names, at);
    }
  };
  return {
    capture: carrierOf(deps, wired, { routes, has, only, partly: named.length > 0, moved, deferred }),
    fence: fenceOf(fence, { source, namespaces, named, clock }),
    proof: new VerifiedProof({
      ...{ source, state, verification, routes, has, only, named, verifyRest, clock },
      accepted: new Set(deps.accepted),
      verify: isBack ? "ferry verify --reverse" : "ferry verify",
    }),
    deferred,
    wayBack: new TargetPosition(target, state.name),
    services,
    watchman,
  };
};

type ChosenScope = Readonly<{
  routes: readonly Route[] | undefined;
  has: (ns: string) => boolean;
  only: ReadonlySet<string> | undefined;
  partly: boolean;
  moved: (at: SourceTime) => Promise<void>;
  deferred: DeferredStructure;
}>;

const carrierOf = (
  { target, state, accepted, maxLagMs, clock, logger, signal, tell }: SwitchDeps,
  { source, kafka, connect, control, connectors, journal }: Wired,
  { routes, has, only, partly, moved, deferred }: ChosenScope,
): Carrier => {
  const shared = {
    ...{ source, state, routes, has, only, partly, moved, accepted, maxLagMs, clock, logger },
    restoreRest: (signal: AbortSignal) => deferred.restoreRest(signal),
  };
  return connect === undefined
    ? new FerryCapture({ ...shared, target, kafka, control, journal, signal, tell, say: () => undefined })
    : new Connectors({ ...shared, kafka: requireKafka(kafka), rest: connect, store: connectors });
};
