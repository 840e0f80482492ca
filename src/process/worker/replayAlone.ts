import { rulesOf } from "#apply/conflict/beginning.ts";
import { readPositions, readRuns } from "#apply/lanes/readLanes.ts";
import { type DdlRules, plainRoute, type Route } from "#base/config/routes.ts";
import type { WorkerOptions } from "#base/config/workerOptions.ts";
import { FerryError } from "#base/errors/ferryError.ts";
import { seriesOf } from "#base/flow/buckets.ts";
import type { Clock } from "#base/flow/clock.ts";
import { TaskGroup } from "#base/flow/taskGroup.ts";
import { formatNamespace, parseNamespace } from "#base/flow/types.ts";
import type { Logger } from "#base/observe/log.ts";
import { NO_VITALS } from "#base/observe/vitals.ts";
import { MemoryLog } from "#io/log/memoryLog.ts";
import type { StateDb } from "#io/state/stateDb.ts";
import { routeNamed, routesOn } from "#route/table/routesOn.ts";
import type { StoredCapture } from "#source/capture/captureStore.ts";
import type { TargetSettings } from "./openTarget.ts";
import { Worker } from "./worker.ts";

export type ReplayAloneDeps = Readonly<{
  state: StateDb;
  settings: Readonly<{ source?: string | undefined; group: string }> & TargetSettings;
  options: WorkerOptions;
  /** The configuration that the run had: letters go through the same rules. */
  routes: readonly Route[] | undefined;
  ddl: DdlRules;
  logger: Logger;
  clock: Clock;
  workerId: string;
  host: string;
  version: string;
  hard: AbortSignal;
}>;

/**
 * The routes with the policies of their first start.
 * @throws FERRY_ROUTE_RULES where a letter would go through other rules than its run's documents
 */
const routesOf = async (
  { state, routes }: ReplayAloneDeps,
  letters: readonly Readonly<{ route: string; topic: string }>[],
): Promise<readonly Route[]> => {
  const known = await readRuns(state);
  for (const name of new Set(letters.map(({ route }) => route))) {
    const rules = known.get(name)?.rules;
    const route = routeNamed(routes, name);
    if (rules === undefined) continue;
    if (route === undefined || rules.to !== rulesOf(route).to || rules.digest !== rulesOf(route).digest)
      throw new FerryError("FERRY_ROUTE_RULES", `${name} had other rules: give --config as the run had it`);
  }
  const series = (topic: string): string => {
    const ns = parseNamespace(topic);
    return formatNamespace(seriesOf(ns) ?? ns);
  };
  const named = routes ?? [...new Set(letters.map(({ topic }) => series(topic)))].map(plainRoute);
  return named.map((route) => {
    const policy = route.conflict ?? known.get(route.name)?.begun?.policy;
    return policy === undefined ? route : { ...route, conflict: policy };
  });
};

/**
 * Carries out decisions on letters, or repairs, of a `ferry run` that is not active, such as a finalized one: the lanes are claimed as
 * a run claims them, so that one that is started meanwhile waits. Nothing else is read or written, and the structure is not
 * touched: without a source nothing follows it.
 * @param until resolves when the decisions are carried out, or the caller has waited long enough
 * @throws FERRY_ROUTE_RULES, FERRY_MONGO_*
 */
export const replayAlone = async (
  deps: ReplayAloneDeps,
  { id }: Pick<StoredCapture, "id">,
  letters: readonly Readonly<{ route: string; topic: string }>[],
  until: () => Promise<void>,
): Promise<void> => {
  const { state, settings, options, ddl, logger, clock, workerId, host, version, hard } = deps;
  const routes = await routesOf(deps, letters);
  const log = new MemoryLog({
    id,
    limitBytes: 1,
    readersOf: (topic) => routesOn(routes, topic).map(({ name }) => name),
  });
  const positions = await readPositions(state);
  for (const topic of new Set(letters.map((letter) => letter.topic))) {
    const end = Math.max(0, ...positions.filter((lane) => lane.topic === topic).map(({ offset }) => offset));
    const low = Math.min(end, ...positions.filter((lane) => lane.topic === topic).map(({ offset }) => offset));
    log.open(topic, { first: low, next: end, high: end });
  }
  await using tasks = new TaskGroup(hard);
  const done = new AbortController();
  await using worker = await Worker.open({
    ...{ settings, options, log, routes, ddl, logger, vitals: NO_VITALS, clock, workerId, host, version },
    soft: done.signal,
    hard: tasks.signal,
  });
  tasks.run(() => worker.run());
  tasks.run(() => until().finally(() => done.abort()));
  await tasks.settled();
};
