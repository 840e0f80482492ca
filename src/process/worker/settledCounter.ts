import type { SettledBatch } from "#apply/pipeline/laneSteps.ts";
import type { TargetOp } from "#base/flow/types.ts";
import { LABELS, type LabelsOf } from "#base/observe/metricCatalogue.ts";
import type { Vitals } from "#base/observe/vitals.ts";

type Op = LabelsOf<"ferry_operations_total">["op"];

const opOf = (op: TargetOp): Op => {
  if (op.op === "write") return op.fresh ? "insert" : "replace";
  return op.op === "patch" ? "update" : "delete";
};

/** Counts what a route's lanes settle. */
export const settledCounter =
  (vitals: Vitals, route: string) =>
  ({ counts, ops }: SettledBatch): void => {
    // A replayed letter is no longer dead: that takes nothing from a counter.
    for (const outcome of LABELS.outcome.values)
      if (counts[outcome] > 0) vitals.count("ferry_events_total", { route, outcome }, counts[outcome]);
    const perOp: Partial<Record<Op, number>> = {};
    for (const one of ops) {
      const op = opOf(one);
      perOp[op] = (perOp[op] ?? 0) + 1;
    }
    for (const [op, n] of Object.entries(perOp) as [Op, number][])
      vitals.count("ferry_operations_total", { route, op }, n);
  };
