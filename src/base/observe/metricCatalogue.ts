/**
 * Every metric of ferry, once: its kind, its labels and what it means. Code may only name what stands here (`vitals.ts`),
 * docs/metrics.md is generated from it, and a test holds the dashboard and the alerts in deploy/grafana to it.
 *
 * Names follow Prometheus: base units (seconds, bytes), `_total` for counters, `_ratio` for 0 to 1.
 */
type LabelEntry = Readonly<{ meaning: string; values?: readonly string[] }>;

/** What series are told apart by. Where `values` are given there are no others; every other one says what bounds it. */
export const LABELS = {
  route: { meaning: "Name of a route; without a configuration the namespace. As many values as routes are carried." },
  outcome: {
    meaning: "What an event ended as; the books of `ferry status` use the same words.",
    values: ["applied", "superseded", "filtered", "dead"],
  },
  op: {
    meaning: "What is done to a document of the target.",
    values: ["insert", "replace", "update", "delete"],
  },
  code: { meaning: "An error code of [errors.md](errors.md), as a dead letter has it." },
  kind: { meaning: "What is new in a document: a field, or another type of a known one.", values: ["field", "type"] },
  side: { meaning: "Whose services a throttle spares.", values: ["source", "target"] },
  stage: {
    meaning: "Which part of the process tries again.",
    values: ["worker", "lane", "log", "target watch", "sink", "capture", "kafka"],
  },
  phase: { meaning: "What a capture is doing.", values: ["copy", "stream", "paused"] },
  command: { meaning: "The command that the process was started as.", values: ["run", "capture", "worker"] },
  version: { meaning: "ferry's version." },
} as const satisfies Readonly<Record<string, LabelEntry>>;

type Label = keyof typeof LABELS;
type LabelValue<L extends Label> = (typeof LABELS)[L] extends { values: readonly (infer V extends string)[] }
  ? V
  : string;

/** Where a metric is from: the commands that have the part. */
export type MetricGroup = "process" | "apply" | "capture";

export type MetricEntry = Readonly<{
  kind: "counter" | "gauge";
  group: MetricGroup;
  labels: readonly Label[];
  /** One sentence: what is counted or measured. */
  help: string;
}>;

const counter = <const L extends readonly Label[]>(group: MetricGroup, labels: L, help: string) =>
  ({ kind: "counter", group, labels, help }) as const;

const gauge = <const L extends readonly Label[]>(group: MetricGroup, labels: L, help: string) =>
  ({ kind: "gauge", group, labels, help }) as const;

export const METRICS = {
  // --- every process
  ferry_build_info: gauge("process", ["command", "version"], "Always 1; its labels say what runs."),
  ferry_ready: gauge("process", [], "1 where /readyz answers with 200, otherwise 0."),
  ferry_retries_total: counter(
    "process",
    ["stage"],
    "Attempts that failed for a reason that passes, and were repeated.",
  ),
  ferry_throttle_ratio: gauge(
    "process",
    ["side"],
    "Part of the time in which lanes may write (target) or the copy may read (source); absent without a limit.",
  ),
  ferry_probe_latency_seconds: gauge(
    "process",
    ["side"],
    "95th percentile of a small write (target) or read (source), which the throttle follows.",
  ),

  // --- lanes: `ferry worker` and `ferry run`
  ferry_events_total: counter(
    "apply",
    ["route", "outcome"],
    "Events that were settled, by outcome; a replayed dead letter counts once more, with its new outcome.",
  ),
  ferry_operations_total: counter(
    "apply",
    ["route", "op"],
    "Operations on documents that were committed on the target.",
  ),
  ferry_event_bytes_total: counter("apply", ["route"], "Bytes of the records whose events were settled."),
  ferry_lag_seconds: gauge(
    "apply",
    ["route"],
    "Age, by the source's cluster time, of the oldest event that is read and not on the target; 0 where none is.",
  ),
  ferry_waiting_records: gauge(
    "apply",
    ["route"],
    "Records of the log after the positions of the lanes that this process holds.",
  ),
  ferry_route_partitions: gauge("apply", ["route"], "Partitions of the route's topic."),
  ferry_held_partitions: gauge("apply", ["route"], "Partitions of the route that this process holds and applies."),
  ferry_held_lanes: gauge("apply", ["route"], "Lanes of these partitions."),
  ferry_batch_age_seconds: gauge(
    "apply",
    ["route"],
    "For how long the oldest batch is being written; 0 where none is. One that grows is a stalled lane.",
  ),
  ferry_buffered_bytes: gauge("apply", [], "Bytes of records that are read and not yet settled."),
  ferry_buffer_limit_bytes: gauge("apply", [], "The limit of these bytes (`--budget-mb`); reading waits at it."),
  ferry_dead_letters_total: counter("apply", ["route", "code"], "Dead letters that this process wrote."),
  ferry_dead_letter_documents: gauge(
    "apply",
    ["route"],
    "Documents of the held partitions whose events wait in the dead letters; records without a key are not among them.",
  ),
  ferry_route_halted: gauge("apply", ["route"], "1 where the route is halted, otherwise 0."),
  ferry_books_imbalance: gauge(
    "apply",
    ["route"],
    "Events by which the books of the held lanes do not balance: 0, or events were lost or counted twice.",
  ),
  ferry_drift_findings_total: counter(
    "apply",
    ["route", "kind"],
    "New fields and types that partitions met, once by each partition and process.",
  ),

  // --- ferry's own capture: `ferry capture` and `ferry run`
  ferry_capture_phase: gauge("capture", ["phase"], "1 for what the capture is doing now."),
  ferry_capture_lag_seconds: gauge(
    "capture",
    [],
    "Age, by the source's clock, of the oldest change that is not on the target (`ferry capture`: in Kafka); from the end of the copy on.",
  ),
  ferry_captured_events_total: counter("capture", [], "Events of the change stream that were handed to the log."),
  ferry_captured_bytes_total: counter("capture", [], "Bytes of these events as the source sent them."),
  ferry_copied_documents: gauge(
    "capture",
    [],
    "Documents of the copy that are on the target (`ferry capture`: in Kafka), earlier processes included.",
  ),
  ferry_copy_estimated_documents: gauge("capture", [], "What the source estimated when the copy was planned."),
  ferry_copy_ranges: gauge("capture", [], "Ranges of the copy."),
  ferry_copy_done_ranges: gauge("capture", [], "Ranges of the copy that are done."),
  ferry_oplog_window_seconds: gauge("capture", [], "How far the source's oplog reaches back, seconds of writes."),
  ferry_oplog_left_seconds: gauge(
    "capture",
    [],
    "How much of the oplog lies before the position that ferry needs: at 0 history is lost. Looked at once a minute.",
  ),
  ferry_oplog_fill_ratio: gauge("capture", [], "How full the oplog is; a full one removes its oldest entries."),
  ferry_spool_bytes: gauge("capture", [], "Bytes of the change stream that wait in files for the end of the copy."),
  ferry_spool_limit_bytes: gauge("capture", [], "The limit of these bytes (`--spool-size`)."),
} as const satisfies Readonly<Record<`ferry_${string}`, MetricEntry>>;

export type MetricName = keyof typeof METRICS;

type NameOf<K extends MetricEntry["kind"]> = {
  [N in MetricName]: (typeof METRICS)[N]["kind"] extends K ? N : never;
}[MetricName];

export type CounterName = NameOf<"counter">;
export type GaugeName = NameOf<"gauge">;

/** The labels of a metric, each with one of its values. */
export type LabelsOf<N extends MetricName> = { readonly [L in (typeof METRICS)[N]["labels"][number]]: LabelValue<L> };

/** Parts of a process that try again. */
export type RetryStage = LabelValue<"stage">;

/** The commands that can be scraped. */
export type ScrapedCommand = LabelValue<"command">;
