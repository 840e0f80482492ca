import { BSON } from "bson";
import type { ConflictPolicy, DdlRules } from "#config/routes.ts";
import { FerryError } from "#errors/ferryError.ts";
import { type DdlEvent, formatNamespace, type LogRecord, type Namespace } from "#flow/types.ts";
import type { LaneStore } from "#lanes/laneStore.ts";
import type { MongoSink } from "#sink/mongoSink.ts";
import type { DdlRecord } from "#structure/records.ts";
import { applyDrop, type DropContext } from "./dropBarrier.ts";
import type { StructureFollower } from "./structureFollower.ts";

export type DdlContext = Omit<DropContext, "sink" | "prepare"> &
  Readonly<{
    ddl: DdlRules;
    store: LaneStore;
    follower: StructureFollower;
    /** Who owns the target's documents: a drop takes those of its own writers along. */
    policy: ConflictPolicy;
    /** Codes that the operator takes upon himself while this worker runs. */
    accepted: ReadonlySet<string>;
  }>;

/** These change no document, and may be applied in any order beside documents (ADR 14). */
const STRUCTURAL = new Set([
  "create",
  "createIndexes",
  "dropIndexes",
  "modify",
  "startIndexBuild",
  "commitIndexBuild",
  "abortIndexBuild",
]);
/** Those of a sharded source, which say how it lies there and nothing of what it is. */
const PLACEMENT = new Set(["shardCollection", "refineCollectionShardKey", "reshardCollection"]);

const CONVERTED = /^tmp[A-Za-z0-9]{5}\.convertToCapped\.(.+)$/s;

/** convertToCapped shows as a rename of a collection that nobody has seen documents of. */
const convertedTo = (event: DdlEvent, to: Namespace | undefined): Namespace | undefined =>
  to !== undefined && CONVERTED.exec(event.ns.coll)?.[1] === to.coll ? to : undefined;

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
    const { accepted, logger, follower } = this.#context;
    const { kind } = event;
    const body = BSON.deserialize(event.command);
    const note = (outcome: DdlRecord["outcome"], steps: readonly string[]): Promise<void> =>
      follower.note(event, body, { id: this.#idOf(record), outcome, steps });
    const to = kind === "rename" ? (body["to"] as Namespace | undefined) : undefined;
    const converted = convertedTo(event, to);
    if (STRUCTURAL.has(kind) || converted !== undefined) return this.#follow(event, record, converted, note);
    if (PLACEMENT.has(kind)) return note("counted", ["how the source is sharded is not carried"]);
    if (kind === "dropDatabase") return note("counted", ["each of its collections was dropped by an event of its own"]);
    if (accepted.has("FERRY_APPLY_DDL")) {
      logger.warn(
        { ns: this.#context.claim.topic, offset: record.offset },
        `${kind} accepted by the operator: counted, not applied`,
      );
      return note("counted", ["accepted by the operator, not applied"]);
    }
    if (kind === "drop") return this.#drop(event, record, note);
    await note("held", []);
    if (to !== undefined) await this.#haltReaders(event, record, to);
    throw this.#refused(event, record, "");
  };

  #idOf(record: LogRecord): string {
    const { route, partition } = this.#context.claim;
    return `${route}/${partition}/${record.offset}`;
  }

  #refused(event: DdlEvent, record: LogRecord, why: string): FerryError {
    return new FerryError(
      "FERRY_APPLY_DDL",
      `${event.kind} of ${formatNamespace(event.ns)} at offset ${record.offset}${why}`,
    );
  }

  async #follow(
    event: DdlEvent,
    record: LogRecord,
    converted: Namespace | undefined,
    note: (outcome: DdlRecord["outcome"], steps: readonly string[]) => Promise<void>,
  ): Promise<void> {
    const { follower, logger, claim } = this.#context;
    const other = converted === undefined ? undefined : formatNamespace(converted);
    const done = await follower.follow(other === undefined ? undefined : { from: other, to: other });
    const fields = { ns: other ?? claim.topic, offset: record.offset };
    if (done === undefined) {
      logger.info(fields, `structure event ${event.kind}: counted, not applied`);
      return note("counted", [
        "nobody has built this structure with `ferry structure build`, or the worker has no --source",
      ]);
    }
    logger.info({ ...fields, count: done.length }, `structure event ${event.kind}: the source's structure is followed`);
    return note("applied", done);
  }

  async #drop(
    event: DdlEvent,
    record: LogRecord,
    note: (outcome: DdlRecord["outcome"], steps: readonly string[]) => Promise<void>,
  ): Promise<void> {
    const { follower, policy, ddl } = this.#context;
    // A view or a time series has no documents here; whether it is gone the source tells.
    if (await follower.isHollow()) return note("applied", (await follower.follow()) ?? []);
    const id = this.#idOf(record);
    if (policy !== "mirror")
      throw this.#refused(event, record, `: under ${policy} the target's own documents would go with it`);
    if (ddl.drop === "hold" && !(await follower.isApproved(id))) {
      await note("held", []);
      throw this.#refused(event, record, ` is held; \`ferry structure approve ${id}\` lets it happen`);
    }
    await applyDrop({ ...this.#context, sink: this.#sink, prepare: () => follower.prepare() }, event, record);
    this.#dropAt = event.at;
    await note("applied", ["drops the collection"]);
  }

  /** What is renamed over another collection changes that one, too: its routes must not go on as if nothing had happened. */
  async #haltReaders(event: DdlEvent, record: LogRecord, to: Namespace): Promise<void> {
    const { store } = this.#context;
    const name = formatNamespace(to);
    for (const route of await store.routesOf(name))
      await store.halt(route, this.#refused(event, record, ` made ${name} another collection`));
  }
}
