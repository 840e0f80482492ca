import { FerryError } from "#base/errors/ferryError.ts";
import type { Clock } from "#base/flow/clock.ts";
import { type Namespace, parseNamespace } from "#base/flow/types.ts";
import { fenceOf } from "#cutover/fence/fence.ts";
import { CutoverStore } from "#cutover/machine/cutoverStore.ts";
import type { Services } from "#cutover/machine/parts.ts";
import { readCarriedRun } from "#cutover/parts/carriedRun.ts";
import { HookRelease } from "#cutover/parts/hookRelease.ts";
import { Reopening } from "#cutover/parts/reopening.ts";
import type { MongoClient } from "#io/mongo/connect.ts";
import { StateDb } from "#io/state/stateDb.ts";
import { forwardState } from "#process/capture/stateNames.ts";

export type BackDeps = Readonly<{
  /** Where services write, and where the run remembers that was switched over. */
  source: MongoClient;
  /** Where they go back to. */
  target: MongoClient;
  /** Of the run that carries back. */
  state: StateDb;
  onRelease: string | undefined;
  named: readonly string[];
  clock: Clock;
}>;

/** Sends services back, behind the fence that their cutover has left. @throws FERRY_ROLLBACK_NONE where there was none */
export const servicesBack = async ({ source, target, state, onRelease, named, clock }: BackDeps): Promise<Services> => {
  const forward = new StateDb(source, forwardState(state.name));
  const record = await new CutoverStore(forward, "", 0).released();
  if (record === undefined) throw new FerryError("FERRY_ROLLBACK_NONE", "no cutover has sent services to this target");
  const carried = record.namespaces.length > 0 ? undefined : await readCarriedRun(forward);
  const fenced = carried?.topics.map(({ name }) => name) ?? record.namespaces;
  const namespaces = async (): Promise<readonly Namespace[]> => fenced.map(parseNamespace);
  // What a command has fenced is lifted by the operator's own way of sending services there.
  const kind = record.fence === "hook" ? "none" : record.fence;
  const fence = fenceOf({ kind }, { source: target, named: record.namespaces, namespaces, clock });
  return new Reopening(fence, new HookRelease(onRelease, named));
};
