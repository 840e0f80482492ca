import { FerryError } from "#base/errors/ferryError.ts";
import type { StateDb } from "#io/state/stateDb.ts";
import { readSeenRun } from "#source/capture/captureLifecycle.ts";
import { readConnectors } from "#source/connector/connectorStore.ts";
import type { SourceIdentity } from "#source/stream/deployment.ts";

/** Who carries what is switched over, and from which source where that is known. */
export type CarriedBy = Readonly<{
  source: SourceIdentity | undefined;
  throughKafka: boolean;
  byConnectors: boolean;
}>;

const noRun = (isBack: boolean): FerryError =>
  isBack
    ? new FerryError("FERRY_ROLLBACK_NONE", "`ferry run --reverse` was not started for this target and --state-db")
    : new FerryError("FERRY_RUN_NONE", "there is no run on this target");

/** @param isBack services go back @throws FERRY_RUN_NONE, FERRY_ROLLBACK_NONE, FERRY_MONGO_* */
export const carriedBy = async (state: StateDb, isBack: boolean): Promise<CarriedBy> => {
  const run = (await readSeenRun(state))?.record;
  if (run !== undefined) return { source: run.source, throughKafka: run.mode === "kafka", byConnectors: false };
  const [connector] = isBack ? [] : await readConnectors(state);
  if (connector === undefined) throw noRun(isBack);
  return { source: connector.source, throughKafka: true, byConnectors: true };
};
