import { ConflictStore } from "#apply/conflict/conflictStore.ts";
import { MarkStore } from "#apply/conflict/marks.ts";
import { DeadLetterStore } from "#apply/deadletter/deadLetterStore.ts";
import type { Lease } from "#apply/lanes/claimRecords.ts";
import { ClaimStore } from "#apply/lanes/claimStore.ts";
import { Claims } from "#apply/lanes/claims.ts";
import { Drops } from "#apply/lanes/drops.ts";
import type { LanePositions } from "#apply/lanes/laneCommit.ts";
import { LanePositionStore } from "#apply/lanes/lanePositions.ts";
import { LaneStore } from "#apply/lanes/laneStore.ts";
import { RunStore } from "#apply/lanes/runStore.ts";
import { RepairStore } from "#apply/repair/repairStore.ts";
import type { Clock } from "#base/flow/clock.ts";
import type { StateDb } from "#io/state/stateDb.ts";
import { DriftLedger } from "#route/drift/ledger.ts";
import { ConnectorStore } from "#source/connector/connectorStore.ts";
import { StructureStore } from "#structure/plan/structureStore.ts";

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
  /** Of the target's structure. */
  journal: StructureStore;
  marks: MarkStore;
  conflicts: ConflictStore;
  repairs: RepairStore;
}>;

/** Who owns partitions, and where that is noted. `transactional`: false on a standalone target. */
export type OwnerOptions = Lease & Readonly<{ state: StateDb; transactional: boolean }>;

/** Nothing is read or written yet. */
export const workerStores = (options: OwnerOptions, clock: Clock): WorkerStores => {
  const { state, workerId, leaseMs, captureEpoch, transactional } = options;
  const records = new ClaimStore(state);
  return {
    store: new LaneStore(options),
    positions: new LanePositionStore(state),
    claims: new Claims({ workerId, leaseMs, captureEpoch, transactional, records }),
    runs: new RunStore(state, workerId),
    deadLetters: new DeadLetterStore(state),
    connectors: new ConnectorStore(state),
    drops: new Drops(state, records, clock),
    drift: new DriftLedger(state),
    journal: new StructureStore(state),
    marks: new MarkStore(state),
    conflicts: new ConflictStore(state),
    repairs: new RepairStore(state),
  };
};
