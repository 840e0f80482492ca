import type { RunningPartition } from "#apply/pipeline/runningPartition.ts";
import { imbalance } from "#base/flow/types.ts";
import type { Sample } from "#base/observe/vitals.ts";
import { throttleSamples } from "#io/pace/throttleSamples.ts";
import type { HeldPartitions } from "./heldPartitions.ts";
import type { WorkerParts } from "./workerWiring.ts";

const secondsSince = (ms: readonly number[], now: number): number =>
  ms.length === 0 ? 0 : Math.max(0, now - Math.min(...ms)) / 1000;

const sum = (numbers: readonly number[]): number => numbers.reduce((all, n) => all + n, 0);

function* routeSamples(route: string, held: readonly RunningPartition[], now: number): Generator<Sample> {
  const lanes = held.flatMap(({ claim }) => claim.lanes);
  yield ["ferry_held_partitions", { route }, held.length];
  yield ["ferry_held_lanes", { route }, lanes.length];
  if (held.length === 0) return;
  const oldest = held.flatMap((partition) => partition.oldestMs() ?? []);
  const writing = held.flatMap((partition) => partition.writingSinceMs() ?? []);
  yield ["ferry_lag_seconds", { route }, secondsSince(oldest, now)];
  yield ["ferry_batch_age_seconds", { route }, secondsSince(writing, now)];
  yield ["ferry_waiting_records", { route }, sum(held.map((partition) => partition.waitingRecords()))];
  yield ["ferry_dead_letter_documents", { route }, sum(held.map(({ heldDocuments }) => heldDocuments))];
  // No move of a lane changes this (`requireBalance`): what the lanes had when they were claimed is what they have.
  yield ["ferry_books_imbalance", { route }, sum(lanes.map(({ counts }) => Math.abs(imbalance(counts))))];
}

/** A worker's gauges, from memory alone. @param now ms since the epoch */
export function* workerSamples(
  { held, halts, routes, budget, pace }: Pick<WorkerParts, "held" | "halts" | "routes" | "budget" | "pace">,
  now: number,
): Generator<Sample> {
  yield ["ferry_buffered_bytes", {}, budget.used];
  yield ["ferry_buffer_limit_bytes", {}, budget.limit];
  if (pace !== undefined) yield* throttleSamples("target", pace.throttle.state);
  const running = Map.groupBy(held.running.values(), ({ claim }) => claim.route);
  for (const { route, partitions } of routes.all()) {
    yield ["ferry_route_partitions", { route: route.name }, partitions];
    yield ["ferry_route_halted", { route: route.name }, halts.known.has(route.name) ? 1 : 0];
    yield* routeSamples(route.name, running.get(route.name) ?? [], now);
  }
}

/** What a worker knows about whether it works. */
export type WorkerState = Readonly<{
  /** How long ago the target took its last report, ms; undefined: it has not taken one. */
  silentMs: number | undefined;
  leaseMs: number;
  held: Pick<HeldPartitions, "balanced" | "leaving" | "claimed" | "running">;
  halted: ReadonlySet<string>;
}>;

/** Why a worker does not work as it should; undefined where it does. One without any partition is ready to take some. */
export const workerObstacle = ({ silentMs, leaseMs, held, halted }: WorkerState): string | undefined => {
  if (held.leaving) return "stopping";
  if (silentMs === undefined) return "the target has not taken a report yet";
  if (silentMs > leaseMs) return `the target has taken no report for ${Math.round(silentMs / 1000)} s`;
  if (!held.balanced) return "no partition is claimed yet";
  const [claimed, running] = [held.claimed.length, held.running.size];
  if (running < claimed) return `${running} of ${claimed} partitions are at work`;
  return halted.size === 0 ? undefined : `halted: ${[...halted].sort().join(", ")}`;
};
