import type { Route } from "#base/config/routes.ts";
import { FerryError } from "#base/errors/ferryError.ts";
import type { Clock } from "#base/flow/clock.ts";
import type { Logger } from "#base/observe/log.ts";
import { requirePastFence } from "#cutover/fence/pastFence.ts";
import type { FenceKind } from "#cutover/machine/parts.ts";
import type { KafkaClient } from "#io/kafka/client.ts";
import type { MongoClient } from "#io/mongo/connect.ts";
import { StateDb } from "#io/state/stateDb.ts";
import { reverseState } from "#process/capture/stateNames.ts";
import type { Author } from "#process/steer/auditLog.ts";
import { carriedBy } from "#process/switch/carriedBy.ts";
import { Switchover } from "#process/switch/switchover.ts";
import { type SwitchDeps, switchParts } from "#process/switch/switchWiring.ts";
import type { ConnectRest } from "#source/connect/connectRest.ts";
import { readDeployment, requireSameSource } from "#source/stream/deployment.ts";

/** What a control process knows of the migration's servers; undefined where it was started without them. */
export type ControlServers = Readonly<{
  source: MongoClient | undefined;
  target: MongoClient | undefined;
  state: StateDb;
  kafka: KafkaClient | undefined;
  connect: ConnectRest | undefined;
  routes: readonly Route[] | undefined;
  clock: Clock;
  logger: Logger;
}>;

/** What would be switched over, and how: the flags of `ferry cutover --ready`, and of `ferry rollback --ready`. */
export type ReadinessChoice = Readonly<{
  isBack: boolean;
  named: readonly string[];
  fence: FenceKind | undefined;
  accepted: readonly string[];
}>;

/** As `ferry cutover` has them. */
const MAX_PAUSE_MS = 5000;
const MAX_LAG_MS = 2000;

/** @throws FERRY_CONTROL_WITHOUT where control was started without it */
export const required = <T>(server: T | undefined, flag: string): T => {
  if (server === undefined) throw new FerryError("FERRY_CONTROL_WITHOUT", `this needs ${flag}`);
  return server;
};

/** What asks without a name: nothing is changed. */
const NOBODY: Author = { via: "api", who: "" };

/** The three places of a switch, from what this process is connected with. @throws FERRY_CONTROL_WITHOUT */
const placesOf = (isBack: boolean, servers: ControlServers) => {
  const [source, target] = [required(servers.source, "--source"), required(servers.target, "--target")];
  return isBack
    ? { source: target, target: source, state: reverseStateOf(servers) }
    : { source, target, state: servers.state };
};

/** Where what carries back remembers. @throws FERRY_CONTROL_WITHOUT */
export const reverseStateOf = ({ source, state }: ControlServers): StateDb =>
  new StateDb(required(source, "--source"), reverseState(state.name));

/** What is missing before services can be switched over. Writes nothing. @throws FERRY_CONTROL_WITHOUT, FERRY_RUN_NONE, FERRY_MONGO_* */
export const cutoverReadiness = async (
  { isBack, named, fence, accepted }: ReadinessChoice,
  servers: ControlServers,
  signal: AbortSignal,
): Promise<Awaited<ReturnType<Switchover["ready"]>>> => {
  const { source, target, state } = placesOf(isBack, servers);
  if (isBack) await requirePastFence(target);
  const carried = await carriedBy(state, isBack);
  if (carried.source !== undefined) requireSameSource(carried.source, await readDeployment(source));
  const kafka = carried.throughKafka ? required(servers.kafka, "--kafka") : undefined;
  const connect = carried.byConnectors ? required(servers.connect, "--connect") : undefined;
  const { routes, clock, logger } = servers;
  const deps: SwitchDeps = {
    ...{ target, state, routes, named, accepted, clock, logger, signal, isBack, by: NOBODY },
    fence: { kind: fence ?? (named.length === 0 ? "user-write-block" : "validator") },
    ...{ maxPauseMs: MAX_PAUSE_MS, maxLagMs: MAX_LAG_MS, onRelease: undefined, verifyRest: false },
    ...{ owner: "", report: () => undefined, tell: () => undefined, onRetry: () => undefined },
  };
  return new Switchover(deps, switchParts(deps, { source, kafka, connect })).ready();
};
