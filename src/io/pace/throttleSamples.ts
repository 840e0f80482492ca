import type { LabelsOf } from "#base/observe/metricCatalogue.ts";
import type { Sample } from "#base/observe/vitals.ts";
import type { Throttle } from "./throttle.ts";

/** A throttle's gauges. @param side whose services it spares */
export function* throttleSamples(
  side: LabelsOf<"ferry_throttle_ratio">["side"],
  { share, latencyMs }: Throttle["state"],
): Generator<Sample> {
  yield ["ferry_throttle_ratio", { side }, share];
  if (latencyMs !== null) yield ["ferry_probe_latency_seconds", { side }, latencyMs / 1000];
}
