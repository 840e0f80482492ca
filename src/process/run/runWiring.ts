import { ClaimStore } from "#apply/lanes/claimStore.ts";
import { readPositions } from "#apply/lanes/readLanes.ts";
import { RunStore } from "#apply/lanes/runStore.ts";
import { inheritLanes } from "#apply/lanes/takeFromOwners.ts";
import type { DdlRules } from "#base/config/routes.ts";
import type { WorkerOptions } from "#base/config/workerOptions.ts";
import { TaskGroup } from "#base/flow/taskGroup.ts";
import type { CaptureOutput } from "#io/log/captureOutput.ts";
import { MemoryLog } from "#io/log/memoryLog.ts";
import { type CaptureDeps, sessionOf } from "#process/capture/captureOpening.ts";
import type { BegunCapture } from "#process/capture/captureStart.ts";
import { openSides, type Sides } from "#process/capture/openSides.ts";
import type { Session } from "#process/capture/runLifecycle.ts";
import { Worker } from "#process/worker/worker.ts";
import { routesOn } from "#route/table/routesOn.ts";
import type { AskedOfTargets } from "#sink/open/demands.ts";
import { CaptureStore } from "#source/capture/captureStore.ts";
import type { OwnCapture } from "#source/capture/ownCapture.ts";
import { openCopySource } from "#source/copy/steadyCopySource.ts";
import { CarriedStructure } from "#structure/operations/carriedStructure.ts";
import { StructureStore } from "#structure/plan/structureStore.ts";
import { topicStarts } from "./topicStarts.ts";

export type DirectDeps = CaptureDeps &
  Readonly<{
    options: WorkerOptions;
    ddl: DdlRules;
    host: string;
    version: string;
  }>;

/** What one `ferry run` works with, in each of its sessions. Disposing of it closes every connection. */
export type RunParts = AsyncDisposable &
  Readonly<{
    sides: Sides;
    store: CaptureStore;
    claims: ClaimStore;
    runs: RunStore;
    structure: CarriedStructure;
  }>;

const askedOf = ({ options, ddl, recopy, replaceTarget }: DirectDeps): AskedOfTargets => ({
  ...options,
  source: true,
  ...{ ddl, recopy, replaceTarget },
});

/** Makes and connects everything that `ferry run` works with; no other file does. @throws as `openSides` */
export const wireRun = async (deps: DirectDeps): Promise<RunParts> => {
  const { spec, routes, runId, clock, logger, hard } = deps;
  const { leaseMs } = deps.options;
  await using stack = new AsyncDisposableStack();
  const sides = stack.use(await openSides(deps, askedOf(deps)));
  const { source, target, state } = sides;
  const store = new CaptureStore(state, runId, leaseMs);
  const claims = new ClaimStore(state);
  const runs = new RunStore(state, runId);
  const journal = new StructureStore(state);
  const carrying = { spec, routes, clock, logger, hard, leaseMs };
  const structure = new CarriedStructure(carrying, { source, target, state, journal });
  const kept = stack.move();
  return { sides, store, claims, runs, structure, [Symbol.asyncDispose]: () => kept.disposeAsync() };
};

/** What one session works with. Disposing of it ends its worker, then its tasks, then the reading of the copy. */
export type RunSession = AsyncDisposable &
  Readonly<{
    capture: OwnCapture;
    worker: Worker;
    tasks: TaskGroup;
    /** Aborted when what was captured is on the target: now the lanes may go. */
    captured: AbortController;
  }>;

/** @throws as `Worker.open` */
export const wireRunSession = async (
  deps: DirectDeps,
  { sides, store, claims }: RunParts,
  { start, carried }: BegunCapture,
  { record, wish }: Session,
): Promise<RunSession> => {
  const { settings, options, routes, ddl, logger, vitals, clock, runId, host, version, hard } = deps;
  const { source, state, sinkOf, shared } = sides;
  await using stack = new AsyncDisposableStack();
  const log = new MemoryLog({
    id: record.id,
    limitBytes: options.budgetMb * 1024 * 1024,
    readersOf: (topic) => routesOn(routes, topic).map(({ name }) => name),
  });
  const captureEpoch = store.epoch;
  await inheritLanes(claims, captureEpoch);
  const startOf = topicStarts(record, await readPositions(state));
  const output: CaptureOutput = {
    open: async (topic) => log.open(topic, startOf(topic)),
    append: (topic, records, bytes, signal) => log.append(topic, records, bytes, signal),
    ends: () => log.ends(),
    settledTo: (ends, signal, soon) => log.settledTo(ends, signal, soon),
  };
  for (const { name } of record.topics) await output.open(name);
  const copySource = stack.use(openCopySource(source, record.phase === "copy" ? carried[0] : undefined, deps));
  wish.onLimits?.((limits) => copySource.limit(limits));
  const { conflict } = options;
  const capture = sessionOf(deps, { source, sinkOf }, start, { record, copySource, output, conflict, wish });
  const tasks = stack.use(new TaskGroup(hard));
  const captured = new AbortController();
  const worker = stack.use(
    await Worker.open({
      ...{ settings, options, log, captureEpoch, shared, routes, ddl, logger, vitals, clock, host, version },
      workerId: runId,
      pastValidators: deps.back !== undefined,
      soft: captured.signal,
      hard: tasks.signal,
    }),
  );
  const kept = stack.move();
  return { capture, worker, tasks, captured, [Symbol.asyncDispose]: () => kept.disposeAsync() };
};
