import { MarkStore } from "#apply/conflict/marks.ts";
import { ConflictStore } from "#apply/conflict/store.ts";
import { DeadLetterStore } from "#apply/deadletter/store.ts";
import { Claims, type OwnerOptions } from "#apply/lanes/claims.ts";
import { Drops } from "#apply/lanes/drops.ts";
import type { LanePositions } from "#apply/lanes/laneCommit.ts";
import { LanePositionStore } from "#apply/lanes/lanePositions.ts";
import { LaneStore } from "#apply/lanes/laneStore.ts";
import { RunStore } from "#apply/lanes/runStore.ts";
import { RepairStore } from "#apply/repair/repairStore.ts";
import type { Clock } from "#base/flow/clock.ts";
import { DriftLedger } from "#route/drift/ledger.ts";
import { ConnectorStore } from "#source/connector/connectorStore.ts";

/** What a worker remembers in ferry's database on the target, by whose collections they are. */
export type WorkerStores = Readonly<{
  store: LaneStore;
  positions: LanePositions;
  claims: Claims;
  runs: RunStore;
  deadLetters: DeadLetterStore;
  connectors: ConnectorStore;
  drops: Drops;
  drift: DriftLedger;
  marks: MarkStore;
  conflicts: ConflictStore;
  repairs: RepairStore;
}>;

/** Nothing is read or written yet. */
export const workerStores = (options: OwnerOptions, clock: Clock): WorkerStores => {
  const { client, stateDb, workerId } = options;
  return {
    store: new LaneStore(options),
    positions: new LanePositionStore(client, stateDb),
    claims: new Claims(options),
    runs: new RunStore(client, stateDb, workerId),
    deadLetters: new DeadLetterStore(client, stateDb),
    connectors: new ConnectorStore(client, stateDb),
    drops: new Drops(client, stateDb, clock),
    drift: new DriftLedger(client, stateDb),
    marks: new MarkStore(client, stateDb),
    conflicts: new ConflictStore(client, stateDb),
    repairs: new RepairStore(client, stateDb),
  };
};

/** Makes collections and indexes. @throws FERRY_MONGO_* */
export const prepareStores = async ({ store, deadLetters, drift, conflicts, repairs }: WorkerStores): Promise<void> => {
  await Promise.all([store, deadLetters, drift, conflicts, repairs].map((one) => one.prepare()));
};
