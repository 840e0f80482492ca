import type { LabelsOf } from "#base/observe/metricCatalogue.ts";
import type { Sample } from "#base/observe/vitals.ts";
import type { Throttle } from "#io/pace/throttle.ts";
import { throttleSamples } from "#io/pace/throttleSamples.ts";
import type { CopyProgress } from "#source/copy/copy.ts";
import type { EventSpool } from "#source/spool/eventSpool.ts";

/** A capture as it stands. What does not apply, or is not known in this process, is undefined. */
export type CaptureFacts = Readonly<{
  phase: LabelsOf<"ferry_capture_phase">["phase"];
  lagMs: number | undefined;
  copy?: CopyProgress | undefined;
  /** Documents of the copy, as the source estimated them. */
  estimate?: number | undefined;
  /** Of the copy, while it runs. */
  throttle?: Throttle["state"] | undefined;
  spool?: Pick<EventSpool, "bytes" | "limitBytes">;
}>;

/** A capture's gauges. */
export function* captureSamples({ phase, lagMs, copy, estimate, throttle, spool }: CaptureFacts): Generator<Sample> {
  yield ["ferry_capture_phase", { phase }, 1];
  if (lagMs !== undefined) yield ["ferry_capture_lag_seconds", {}, lagMs / 1000];
  if (copy !== undefined) {
    yield ["ferry_copied_documents", {}, copy.documents];
    yield ["ferry_copy_ranges", {}, copy.ranges];
    yield ["ferry_copy_done_ranges", {}, copy.doneRanges];
    if (estimate !== undefined) yield ["ferry_copy_estimated_documents", {}, estimate];
  }
  if (throttle !== undefined) yield* throttleSamples("source", throttle);
  if (spool !== undefined) {
    yield ["ferry_spool_bytes", {}, spool.bytes];
    yield ["ferry_spool_limit_bytes", {}, spool.limitBytes];
  }
}
