/** The pattern of topics that means nothing in particular. */
export const EVERY_TOPIC = "*.*";

/** How a worker works. Defaults live here only; docs/config.md and the command line's help derive from it. */
export const WORKER_OPTIONS = {
  type: "object",
  properties: {
    topics: {
      type: "string",
      default: EVERY_TOPIC,
      list: true,
      description:
        "Topics to apply, names or globs as for namespaces; comma-separated, may be repeated. A topic is named like its namespace: db.collection.",
    },
    slices: {
      type: "integer",
      default: 0,
      minimum: 0,
      maximum: 64,
      description:
        "Lanes per partition: how many disjoint key slices are written concurrently. 0: as many as give a topic four lanes.",
    },
    budgetMb: {
      type: "integer",
      default: 8,
      minimum: 1,
      maximum: 65_536,
      description: "MB of records that are read and not yet applied; reading waits at this limit.",
    },
    batchMb: {
      type: "integer",
      default: 4,
      minimum: 1,
      maximum: 32,
      description: "MB in one transaction of a lane, at most; a larger document has a transaction of its own.",
    },
    batchCount: {
      type: "integer",
      default: 5000,
      minimum: 1,
      maximum: 100_000,
      description: "Records in one transaction of a lane, at most.",
    },
    leaseMs: {
      type: "integer",
      default: 3000,
      minimum: 500,
      maximum: 600_000,
      description: "How long, ms, a worker may be silent before others take over its partitions.",
    },
    onError: {
      type: "string",
      enum: ["dead-letter", "stop"],
      default: "dead-letter",
      description: "What to do with an event that the target rejects.",
    },
    deltas: {
      type: "string",
      enum: ["look-up", "apply"],
      default: "look-up",
      description:
        "What to do with updates that carry no document: look-up reads the document from the source (exact bytes), apply writes the delta. Without --source: apply.",
    },
    conflict: {
      type: "string",
      enum: ["refuse", "mirror", "merge", "keep-target"],
      default: "refuse",
      description:
        "Conflict policy of routes that name none. refuse: like mirror, but a target collection that has documents at the first start is refused.",
    },
    targetLatencyMs: {
      type: "integer",
      default: 0,
      minimum: 0,
      maximum: 60_000,
      description:
        "Slow down while one small majority write to the target takes longer than this, ms (95th percentile). 0: never.",
    },
    accept: {
      type: "string",
      default: "",
      list: true,
      description: "Error codes, comma-separated, may be repeated, that do not halt a topic while this worker runs.",
    },
  },
  additionalProperties: false,
} as const;

type OptionSchemas = typeof WORKER_OPTIONS.properties;

type ValueOf<P> = P extends { enum: readonly (infer V)[] } ? V : P extends { type: "integer" } ? number : string;

export type WorkerOptions = { [K in keyof OptionSchemas]: ValueOf<OptionSchemas[K]> };
