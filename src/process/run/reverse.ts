import { switchedTopics } from "#apply/lanes/switchedRoutes.ts";
import { FerryError } from "#base/errors/ferryError.ts";
import { every } from "#base/flow/every.ts";
import { TaskGroup } from "#base/flow/taskGroup.ts";
import { requirePastFence } from "#cutover/fence/pastFence.ts";
import { readSentOver } from "#cutover/machine/cutoverStore.ts";
import type { CutoverRecord } from "#cutover/machine/record.ts";
import { reachMongo } from "#io/mongo/reach.ts";
import { StateDb } from "#io/state/stateDb.ts";
import { reverseState } from "#process/capture/stateNames.ts";
import { placeOf } from "#process/worker/openTarget.ts";
import { readCapture } from "#source/capture/captureStore.ts";
import { meantOf, type Sent } from "./carriedBack.ts";
import { runDirect } from "./direct.ts";
import type { DirectDeps } from "./runWiring.ts";
import { type TurnedBack, turnedBack } from "./turnedBack.ts";

const APP = "ferry run --reverse";

const reaching = ({ clock, logger, soft }: DirectDeps) => ({ appName: APP, clock, logger, signal: soft });

/** Cutovers that have sent services to the target, the newest first. @throws FERRY_ROLLBACK_NONE */
const sentOver = async (state: StateDb): Promise<Sent> => {
  const [newest, ...others] = await readSentOver(state);
  if (newest === undefined) throw new FerryError("FERRY_ROLLBACK_NONE", "no cutover has sent services to this target");
  return [newest, ...others];
};

/**
 * The run that keeps the former source in step after cutovers: the sides and the routes of `ferry run`, the other way, from where
 * the target stood before services were sent there. Nothing is copied.
 * @param deps as for the run that was switched over
 * @throws FERRY_ROLLBACK_NONE, FERRY_ROLLBACK_ROUTE with every reason, FERRY_MONGO_*
 */
const reversed = async (deps: DirectDeps, memory: StateDb): Promise<DirectDeps & TurnedBack> => {
  const { settings } = deps;
  await using clients = new AsyncDisposableStack();
  const source = await reachMongo(settings.source, { side: "source", ...reaching(deps) });
  clients.defer(() => source.close());
  const sent = await sentOver(memory);
  const known = await readCapture(new StateDb(source, reverseState(settings.stateDb)));
  const back = turnedBack(deps, meantOf(sent, known));
  await requirePastFence(source);
  return { ...deps, ...back };
};

/** How often it is looked whether more services were sent over, ms. */
const LOOK_MS = 500;

/** Aborts `more` when a cutover behind the `newest` has sent services over and what it switched is carried there no longer. */
const untilMore = async (
  state: StateDb,
  newest: number,
  { clock, more, ended }: Pick<DirectDeps, "clock"> & Readonly<{ more: AbortController; ended: AbortSignal }>,
): Promise<void> => {
  const look = async (): Promise<boolean> => {
    const later = (await sentOver(state)).filter(({ _id }) => _id > newest);
    if (later.length === 0) return false;
    const switched = await switchedTopics(state);
    const isOut = ({ state, namespaces }: CutoverRecord): boolean =>
      state === "over" || (namespaces.length > 0 && namespaces.every((name) => switched.has(name)));
    return later.every(isOut);
  };
  await every(LOOK_MS, { clock, ended: AbortSignal.any([ended, more.signal]), first: "later" }, async () => {
    // A server that is away for a moment is asked again.
    if (await look().catch(() => false)) more.abort(new FerryError("FERRY_STOPPED", "more services were sent over"));
  });
};

/**
 * `ferry run --reverse`: keeps the former source in step with what cutovers have sent over, until it is stopped or ended. What a
 * cutover sends over meanwhile is taken in.
 * @param deps as for the run that was switched over
 * @throws as `runDirect`, and FERRY_ROLLBACK_NONE, FERRY_ROLLBACK_ROUTE with every reason
 */
export const runReversed = async (deps: DirectDeps): Promise<void> => {
  const { settings, clock } = deps;
  const { uri } = placeOf({ ...settings, target: settings.state ?? settings.target });
  const client = await reachMongo(uri, { side: "target", ...reaching(deps) });
  await using clients = new AsyncDisposableStack();
  clients.defer(() => client.close());
  const state = new StateDb(client, settings.stateDb);
  for (;;) {
    const back = await reversed(deps, state);
    const [more, ending] = [new AbortController(), new AbortController()];
    await using tasks = new TaskGroup(deps.hard);
    const ended = AbortSignal.any([ending.signal, deps.soft, tasks.signal]);
    tasks.run(() => untilMore(state, back.back.behind.newest, { clock, more, ended }));
    tasks.run(async () => {
      try {
        await runDirect({ ...back, soft: AbortSignal.any([deps.soft, more.signal]), hard: tasks.signal });
      } catch (error) {
        if (!more.signal.aborted || error !== more.signal.reason) throw error;
      } finally {
        ending.abort();
      }
    });
    await tasks.settled();
    if (!more.signal.aborted || deps.soft.aborted) return;
  }
};
