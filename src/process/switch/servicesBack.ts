import { switchedTopics } from "#apply/lanes/switchedRoutes.ts";
import type { Route } from "#base/config/routes.ts";
import { FerryError } from "#base/errors/ferryError.ts";
import type { Clock } from "#base/flow/clock.ts";
import { type Namespace, parseNamespace } from "#base/flow/types.ts";
import { fenceOf } from "#cutover/fence/fence.ts";
import { readSentOver } from "#cutover/machine/cutoverStore.ts";
import type { Fence, Services } from "#cutover/machine/parts.ts";
import { readCarriedRun } from "#cutover/parts/carriedRun.ts";
import { HookRelease } from "#cutover/parts/hookRelease.ts";
import { Reopening } from "#cutover/parts/reopening.ts";
import type { MongoClient } from "#io/mongo/connect.ts";
import { StateDb } from "#io/state/stateDb.ts";
import { forwardState } from "#process/capture/stateNames.ts";
import { targetsOf } from "#route/table/reverseRoutes.ts";
import { readCapture } from "#source/capture/captureStore.ts";

export type BackDeps = Readonly<{
  /** Where services write, and where the run remembers that was switched over. */
  source: MongoClient;
  /** Where they go back to. */
  target: MongoClient;
  /** Of the run that carries back. */
  state: StateDb;
  onRelease: string | undefined;
  named: readonly string[];
  /** Of the configuration, the way there. */
  routes: readonly Route[] | undefined;
  clock: Clock;
}>;

/** Sends services back, behind the fences that their cutovers have left. @throws FERRY_ROLLBACK_NONE where there was none */
export const servicesBack = async (deps: BackDeps): Promise<Services> => {
  const { source, target, state, routes, onRelease, named, clock } = deps;
  const forward = new StateDb(source, forwardState(state.name));
  const [sent, carried, returned] = await Promise.all([
    readSentOver(forward),
    readCapture(state),
    switchedTopics(state),
  ]);
  const { after, newest } = carried?.behind ?? { after: 0, newest: 0 };
  const records = sent.filter(({ _id }) => _id > after && _id <= newest);
  if (records.length === 0) throw new FerryError("FERRY_ROLLBACK_NONE", "no cutover has sent services to this target");
  const isMeant = (name: string): boolean =>
    targetsOf(routes, name).some((there) => !returned.has(there) && (named.length === 0 || named.includes(there)));
  const fences = records.map((record): Fence => {
    const namesOf = async (): Promise<readonly string[]> =>
      record.namespaces.length > 0 ? record.namespaces : (await readCarriedRun(forward)).topics.map(({ name }) => name);
    const namespaces = async (): Promise<readonly Namespace[]> => (await namesOf()).filter(isMeant).map(parseNamespace);
    // What a command has fenced is lifted by the operator's own way of sending services there.
    const kind = record.fence === "hook" ? "none" : record.fence;
    return fenceOf({ kind }, { source: target, named, namespaces, clock });
  });
  return new Reopening(fences, new HookRelease(onRelease, named));
};
