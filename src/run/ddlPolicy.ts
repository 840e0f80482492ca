import type { ConflictPolicy } from "#config/routes.ts";
import { FerryError } from "#errors/ferryError.ts";
import { type DdlEvent, formatNamespace, type LogRecord } from "#flow/types.ts";
import type { MongoSink } from "#sink/mongoSink.ts";
import { applyDrop, type DropContext } from "./dropBarrier.ts";
import type { WorkerOptions } from "./workerOptions.ts";

export type DdlContext = Omit<DropContext, "sink"> &
  Readonly<{
    options: WorkerOptions;
    /** Who owns the target's documents: a drop takes those of its own writers along. */
    policy: ConflictPolicy;
    /** Codes that the operator takes upon himself while this worker runs. */
    accepted: ReadonlySet<string>;
  }>;

/** Structure events change no document; building structure has its own place, here they are only counted. */
const STRUCTURAL = new Set([
  "create",
  "createIndexes",
  "dropIndexes",
  "modify",
  "shardCollection",
  "refineCollectionShardKey",
  "reshardCollection",
]);

/** What a change of the collection itself does; all lanes of the partition stand before it. */
export class DdlPolicy {
  readonly #context: DdlContext;
  readonly #sink: MongoSink;
  #dropAt: bigint;

  constructor(context: DdlContext, sink: MongoSink) {
    this.#context = context;
    this.#sink = sink;
    this.#dropAt = context.claim.dropAt;
  }

  readonly dropAt = (): bigint => this.#dropAt;

  /** @throws FERRY_APPLY_DDL for what would need a person */
  readonly on = async (event: DdlEvent, record: LogRecord): Promise<void> => {
    const { logger, accepted, options, policy } = this.#context;
    const fields = { ns: this.#context.claim.topic, offset: record.offset };
    if (STRUCTURAL.has(event.kind)) logger.info(fields, `structure event ${event.kind}: counted, not applied`);
    else if (accepted.has("FERRY_APPLY_DDL"))
      logger.warn(fields, `${event.kind} accepted by the operator: counted, not applied`);
    else if (event.kind === "drop" && options.drops === "apply" && policy === "mirror") {
      await applyDrop({ ...this.#context, sink: this.#sink }, event, record);
      this.#dropAt = event.at;
    } else {
      const what = `${event.kind} of ${formatNamespace(event.ns)} at offset ${record.offset}`;
      throw new FerryError("FERRY_APPLY_DDL", what);
    }
  };
}
