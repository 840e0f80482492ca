import { Long } from "bson";
import { switchedTopics } from "#apply/lanes/switchedRoutes.ts";
import { FerryError } from "#base/errors/ferryError.ts";
import { parseNamespace } from "#base/flow/types.ts";
import { readNewestCutover } from "#cutover/machine/cutoverStore.ts";
import { knownRoutes } from "#io/state/forgetRoutes.ts";
import type { StateDb } from "#io/state/stateDb.ts";
import { readSeenRun } from "#source/capture/captureLifecycle.ts";
import type { StoredCapture } from "#source/capture/captureStore.ts";
import { readConnectors } from "#source/connector/connectorStore.ts";

/** What is carried to a target, by any kind of capture: as much of it as a cutover looks at. */
export type CarriedRun = Pick<StoredCapture, "topics" | "scope" | "mode" | "token" | "timeSeries">;

/** Without what former cutovers have sent over: the newest one counts. @throws FERRY_RUN_NONE, FERRY_MONGO_* */
export const readCarriedRun = async (state: StateDb): Promise<CarriedRun> => {
  const [run, switched, newest] = await Promise.all([
    readWhole(state),
    switchedTopics(state),
    readNewestCutover(state),
  ]);
  const mine = newest?.record.fencedAt?.toBigInt();
  const former = new Set([...switched].flatMap(([topic, at]) => (at === mine ? [] : [topic])));
  return {
    ...run,
    topics: run.topics.filter(({ name }) => !former.has(name)),
    scope: { ...run.scope, exclude: [...run.scope.exclude, ...former] },
  };
};

/** With it. @throws FERRY_RUN_NONE, FERRY_MONGO_* */
export const readWhole = async (state: StateDb): Promise<CarriedRun> => {
  const run = await readSeenRun(state);
  if (run !== undefined) return run.record;
  // ferry does not count a connector's records: what has come to a topic is what its lanes tell.
  const [first, ...others] = await readConnectors(state);
  if (first === undefined) throw new FerryError("FERRY_RUN_NONE", "there is no run on this target");
  const known = [first, ...others].flatMap(({ topics }) => topics);
  const begun = (await knownRoutes(state, () => true)).map(({ topic }) => topic);
  const names = [...new Set([...known, ...begun])].filter((name) => parseNamespace(name).coll !== "").sort();
  return {
    topics: names.map((name) => ({ name, next: Long.ONE })),
    scope: { include: names, exclude: [] },
    mode: "kafka",
    token: first.verified ?? first.r0,
  };
};
