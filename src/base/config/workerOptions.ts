import { type Static, Type } from "typebox";

/** The pattern of topics that means nothing in particular. */
export const EVERY_TOPIC = "*.*";

/** How a worker works. Defaults live here only; docs/config.md and the command line's help derive from it. */
export const WORKER_OPTIONS = Type.Object(
  {
    topics: Type.String({
      default: EVERY_TOPIC,
      list: true,
      description:
        "Topics to apply, names or globs as for namespaces; comma-separated, may be repeated. A topic is named like its namespace: db.collection.",
    }),
    slices: Type.Integer({
      default: 0,
      minimum: 0,
      maximum: 64,
      description:
        "Lanes per partition: how many disjoint key slices are written at once. 0 chooses: as many as make four lanes of a topic.",
    }),
    budgetMb: Type.Integer({
      default: 8,
      minimum: 1,
      maximum: 65_536,
      description: "MB of records that may be read and not yet applied: the only backpressure.",
    }),
    batchMb: Type.Integer({
      default: 4,
      minimum: 1,
      maximum: 32,
      description: "MB that one transaction of a lane may carry; a larger document goes alone.",
    }),
    batchCount: Type.Integer({
      default: 5000,
      minimum: 1,
      maximum: 100_000,
      description: "Records that one transaction of a lane may carry.",
    }),
    leaseMs: Type.Integer({
      default: 3000,
      minimum: 500,
      maximum: 600_000,
      description: "After this silence, ms, a worker's partitions go to the others.",
    }),
    onError: Type.Union([Type.Literal("dead-letter"), Type.Literal("stop")], {
      default: "dead-letter",
      description: "What becomes of an event that cannot be applied for a reason of its own.",
    }),
    deltas: Type.Union([Type.Literal("look-up"), Type.Literal("apply")], {
      default: "look-up",
      description:
        "Updates that come without a document: look the document up at the source (exact bytes), or apply the delta. Without --source: apply.",
    }),
    conflict: Type.Union(
      [Type.Literal("refuse"), Type.Literal("mirror"), Type.Literal("merge"), Type.Literal("keep-target")],
      {
        default: "refuse",
        description:
          "Conflict policy of routes that name none. refuse: mirror, and a target collection that has documents at the first start is refused.",
      },
    ),
    targetLatencyMs: Type.Integer({
      default: 0,
      minimum: 0,
      maximum: 60_000,
      description:
        "Slow down while the target takes longer than this, ms, for one small majority write (95th percentile): its services come first. 0: never.",
    }),
    accept: Type.String({
      default: "",
      list: true,
      description:
        "Error codes, comma-separated, may be repeated, that do not halt a topic while this worker runs: an operator's explicit decision.",
    }),
  },
  { additionalProperties: false },
);

export type WorkerOptions = Static<typeof WORKER_OPTIONS>;
