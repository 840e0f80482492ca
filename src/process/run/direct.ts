import type { RunStore } from "#apply/lanes/runStore.ts";
import { FerryError } from "#base/errors/ferryError.ts";
import type { Clock } from "#base/flow/clock.ts";
import { every } from "#base/flow/every.ts";
import { formatNamespace } from "#base/flow/types.ts";
import { unlessStopped } from "#base/flow/unlessStopped.ts";
import { tryingAgain } from "#base/observe/tryingAgain.ts";
import { lastLook } from "#cutover/ending/lastLook.ts";
import { serversOf, throughOutages } from "#io/mongo/outages.ts";
import { checkEmpty, checkRights } from "#process/capture/captureChecks.ts";
import { leaving, openCapture, standingLagOf } from "#process/capture/captureOpening.ts";
import { type BegunCapture, replaceCapture, startCapture } from "#process/capture/captureStart.ts";
import { RunLifecycle, type Session } from "#process/capture/runLifecycle.ts";
import { routesOn } from "#route/table/routesOn.ts";
import { requirePlaces } from "#sink/open/fits.ts";
import { type DirectDeps, type RunParts, wireRun, wireRunSession } from "./runWiring.ts";

/** How often halted routes are looked for, ms. */
const HALT_MS = 500;

/**
 * `ferry run`: capture, a log in memory and the worker's lanes in one process. Everything it must remember is on the target.
 * @throws one clear sentence before anything is written; later what made it stop
 */
export const runDirect = (deps: DirectDeps): Promise<void> => unlessStopped(runWired(deps), deps.hard);

const runWired = async (deps: DirectDeps): Promise<void> => {
  await using parts = await wireRun(deps);
  const { options, routes, clock, logger, vitals, soft, hard } = deps;
  const { sides, store, structure } = parts;
  const { source, state } = sides;
  const servers = serversOf(sides);
  const opening = (): Promise<BegunCapture> => beginBetween(deps, parts);
  const begun = await throughOutages("beginning", servers, { clock, logger, signal: soft }, opening);
  const lifecycle = new RunLifecycle({
    ...{ store, leaseMs: options.leaseMs, servers, clock, logger, vitals, soft, hard },
    writesTo: "the target",
    standingLag: standingLagOf(begun.start),
    lastLook: lastLook({ source, state, routes, signal: soft }),
  });
  await leaving(deps, store, async () => {
    const drained = await lifecycle.run(begun.goesOn, (session) => carry(deps, parts, begun, session));
    if (drained) await lifecycle.finalize(() => structure.finalize(soft));
  });
};

/** Looks at both sides, notes the start or finds what was noted, and owns the run. What is cut off in the middle may be done again. */
const beginBetween = async (deps: DirectDeps, parts: RunParts): Promise<BegunCapture> => {
  const { options, soft: signal } = deps;
  const { sides, store, runs, structure } = parts;
  const { source, target, state } = sides;
  const { leaseMs } = options;
  const opening = await openCapture(deps, sides, { store, mode: "direct", leaseMs, accept: deps.options.accept });
  const { start, replaces, known, former, carried } = opening;
  const routes = carried.flatMap((ns) => routesOn(deps.routes, formatNamespace(ns)));
  await checkRights({ source, target, carried, routes, stateDb: state.name });
  await requirePlaces(routes, { shared: sides.shared, signal, onRetry: tryingAgain(deps, "sink") });
  if (known === undefined && !replaces && deps.back === undefined)
    await checkEmpty(sides.sinkOf, runs, routes, options);
  if (known === undefined && (deps.structure || replaces)) await structure.check(replaces);
  if (replaces) await replaceCapture(start, deps.spool.dir, () => structure.replace(former.map(({ route }) => route)));

  await startCapture(start, carried, deps.recopy);
  return { start, carried, goesOn: known !== undefined && !deps.recopy };
};

/** One session: structure, copy and stream from where the record stands, until it ends. */
const carry = async (deps: DirectDeps, parts: RunParts, begun: BegunCapture, session: Session): Promise<void> => {
  // After the start position: what changes from here on is in the stream, and followed.
  if (deps.structure && session.record.phase === "copy") await parts.structure.build(session.goesOn);
  const { ending } = session;
  await using wired = await wireRunSession(deps, parts, begun, session);
  const { capture, worker, tasks, captured } = wired;
  tasks.run(async () => {
    await capture.run(ending, tasks.signal);
    captured.abort(ending.reason); // what was read is on the target: now the lanes may go
  });
  tasks.run(() => worker.run());
  tasks.run(() => watchHalts(parts.runs, deps.clock, AbortSignal.any([captured.signal, tasks.signal])));
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
