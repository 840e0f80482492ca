import { readPositions } from "#apply/lanes/readLanes.ts";
import { RunStore } from "#apply/lanes/runStore.ts";
import type { DdlRules } from "#base/config/routes.ts";
import type { WorkerOptions } from "#base/config/workerOptions.ts";
import { FerryError } from "#base/errors/ferryError.ts";
import type { Clock } from "#base/flow/clock.ts";
import { every } from "#base/flow/every.ts";
import { TaskGroup } from "#base/flow/taskGroup.ts";
import { formatNamespace, type Namespace } from "#base/flow/types.ts";
import { tryingAgain } from "#base/observe/tryingAgain.ts";
import { lastLook } from "#cutover/ending/lastLook.ts";
import type { CaptureOutput } from "#io/log/captureOutput.ts";
import { MemoryLog } from "#io/log/memoryLog.ts";
import { serversOf, throughOutages } from "#io/mongo/outages.ts";
import { checkEmpty, checkRights } from "#process/capture/captureChecks.ts";
import {
  betweenSides,
  type CaptureDeps,
  leaving,
  openCapture,
  type Sides,
  sessionOf,
  standingLagOf,
} from "#process/capture/captureOpening.ts";
import { type CaptureStartDeps, replaceCapture, startCapture } from "#process/capture/captureStart.ts";
import { RunLifecycle, type Session } from "#process/capture/runLifecycle.ts";
import { Worker } from "#process/worker/worker.ts";
import { routesOn } from "#route/table/routesOn.ts";
import { requirePlaces } from "#sink/open/fits.ts";
import { openCopySource } from "#source/copy/steadyCopySource.ts";
import { CarriedStructure } from "#structure/operations/carriedStructure.ts";
import { topicStarts } from "./topicStarts.ts";

export type DirectDeps = CaptureDeps &
  Readonly<{
    options: WorkerOptions;
    ddl: DdlRules;
    host: string;
    version: string;
  }>;

/** How often halted routes are looked for, ms. */
const HALT_MS = 500;

/**
 * `ferry run`: capture, a log in memory and the worker's lanes in one process. Everything it must remember is on the target.
 * @throws one clear sentence before anything is written; later what made it stop
 */
export const runDirect = (deps: DirectDeps): Promise<void> => {
  const { options, ddl, recopy, replaceTarget } = deps;
  const asked = { ...options, source: true, ddl, recopy, replaceTarget };
  return betweenSides(deps, asked, (sides) => runBetween(deps, sides));
};

const runBetween = async (deps: DirectDeps, sides: Sides): Promise<void> => {
  const { options, routes, soft } = deps;
  const { leaseMs } = options;
  const servers = serversOf(sides);
  const opening = (): Promise<BegunRun> => beginBetween(deps, sides);
  const { setup, begun } = await throughOutages("beginning", servers, { ...deps, signal: soft }, opening);
  const { store } = setup.start;
  const lifecycle = new RunLifecycle({
    ...deps,
    store,
    leaseMs,
    servers,
    writesTo: "the target",
    standingLag: standingLagOf(setup.start),
    lastLook: lastLook({ ...sides, routes, signal: soft }),
  });
  await leaving(deps, store, async () => {
    const drained = await lifecycle.run(begun, (session) => carry({ ...deps, soft: session.ending }, setup, session));
    if (drained) await lifecycle.finalize(() => setup.structure.finalize(soft));
  });
};

type BegunRun = Readonly<{
  setup: RunSetup;
  /** A former process has begun the copy. */
  begun: boolean;
}>;

/** Looks at both sides, notes the start or finds what was noted, and owns the run. What is cut off in the middle may be done again. */
const beginBetween = async (deps: DirectDeps, sides: Sides): Promise<BegunRun> => {
  const { options, runId } = deps;
  const { source, target, state } = sides;
  const { leaseMs } = options;
  const { start, replaces, known, former, carried } = await openCapture(deps, sides, { mode: "direct", leaseMs });
  const runs = new RunStore(state, runId);
  const routes = carried.flatMap((ns) => routesOn(deps.routes, formatNamespace(ns)));
  await checkRights({ source, target, carried, routes, stateDb: state.name });
  await requirePlaces(routes, { ...deps, signal: deps.soft, onRetry: tryingAgain(deps, "sink") });
  if (known === undefined && !replaces && deps.back === undefined)
    await checkEmpty(sides.sinkOf, runs, routes, options);
  const structure = new CarriedStructure({ ...deps, leaseMs }, sides);
  if (known === undefined && (deps.structure || replaces)) await structure.check(replaces);
  if (replaces) await replaceCapture(start, deps.spool.dir, () => structure.replace(former.map(({ route }) => route)));

  await startCapture(start, carried, deps.recopy);
  const setup = { sides, start, runs, structure, carried };
  return { setup, begun: known !== undefined && !deps.recopy };
};

/** What is set up once for a run, and used by each of its sessions. */
type RunSetup = Readonly<{
  sides: Sides;
  start: CaptureStartDeps;
  runs: RunStore;
  structure: CarriedStructure;
  carried: readonly Namespace[];
}>;

/** One session: structure, copy and stream from where the record stands, until `soft` aborts. */
const carry = async (deps: DirectDeps, setup: RunSetup, { record, goesOn, wish }: Session): Promise<void> => {
  const { settings, options, clock, soft, hard, runId } = deps;
  const { sides, start, runs, structure, carried } = setup;
  // After the start position: what changes from here on is in the stream, and followed.
  if (deps.structure && record.phase === "copy") await structure.build(goesOn);
  const startOf = topicStarts(record, await readPositions(sides.state));
  const log = new MemoryLog({
    id: record.id,
    limitBytes: options.budgetMb * 1024 * 1024,
    readersOf: (topic) => routesOn(deps.routes, topic).map(({ name }) => name),
  });
  const output: CaptureOutput = {
    open: async (topic) => log.open(topic, startOf(topic)),
    append: (topic, records, bytes, signal) => log.append(topic, records, bytes, signal),
    ends: () => log.ends(),
    settledTo: (ends, signal, soon) => log.settledTo(ends, signal, soon),
  };
  for (const { name } of record.topics) await output.open(name);
  await using copySource = openCopySource(sides.source, record.phase === "copy" ? carried[0] : undefined, deps);
  const { conflict } = options;
  const capture = sessionOf(deps, sides, start, { record, copySource, output, conflict, wish });
  await using tasks = new TaskGroup(hard);
  const captured = new AbortController();
  await using worker = await Worker.open({
    ...deps,
    settings: { ...settings, target: settings.target },
    log,
    workerId: runId,
    pastValidators: deps.back !== undefined,
    soft: captured.signal,
    hard: tasks.signal,
  });
  tasks.run(async () => {
    await capture.run(soft, tasks.signal);
    captured.abort(soft.reason); // what was read is on the target: now the lanes may go
  });
  tasks.run(() => worker.run());
  tasks.run(() => watchHalts(runs, clock, AbortSignal.any([captured.signal, tasks.signal])));
  await tasks.settled();
};

/**
 * No lane takes a halted route's records out of the log: the whole run stops, with the route's own error. Every route counts,
 * also one whose collection was created when the run was under way.
 */
const watchHalts = async (runs: RunStore, clock: Clock, ended: AbortSignal): Promise<void> => {
  const since = clock.now();
  await every(HALT_MS, { clock, ended, first: "later" }, async () => {
    const unknown: Awaited<ReturnType<RunStore["readRuns"]>> = new Map();
    for (const [route, { halted }] of await runs.readRuns().catch(() => unknown))
      if (halted !== undefined && halted.at.getTime() >= since)
        throw new FerryError(halted.code, `${route} is halted: ${halted.detail}`);
  });
};
