import { BSON } from "bson";
import type { ConflictPolicy, DdlRules, Route } from "#base/config/routes.ts";
import { FerryError, isFerry } from "#base/errors/ferryError.ts";
import { type DdlEvent, formatNamespace, type LogRecord, type Namespace } from "#base/flow/types.ts";
import type { Sink } from "#sink/sink.ts";
import type { StructureFollower } from "#structure/follow/structureFollower.ts";
import type { DdlRecord } from "#structure/model/structureRecords.ts";
import { applyDrop, type DropContext } from "./dropBarrier.ts";
import { copyAgain, obstacle, type RenameContext, routesOver } from "./renameBarrier.ts";

/** An event is looked at, and never sent on: other UTF-8 in what it says is no reason to stop. */
const FOR_LOOKING = { validation: { utf8: false } } as const;

export type DdlContext = Omit<DropContext, "sink" | "prepare"> &
  RenameContext &
  Readonly<{
    ddl: DdlRules;
    follower: StructureFollower;
    /** Who owns the target's documents: a drop takes those of its own writers along. */
    policy: ConflictPolicy;
    /** Error codes accepted with --accept while this worker runs. */
    accepted: ReadonlySet<string>;
  }>;

/** Into the journal of changes: what was done about this one. */
type NoteOutcome = (outcome: DdlRecord["outcome"], steps: readonly string[]) => Promise<void>;

/** What a change of the collection itself does; all lanes of the partition stand before it. */
export class DdlPolicy {
  readonly #context: DdlContext;
  readonly #sink: Sink;
  #dropAt: bigint;

  constructor(context: DdlContext, sink: Sink) {
    this.#context = context;
    this.#sink = sink;
    this.#dropAt = context.claim.dropAt;
  }

  readonly dropAt = (): bigint => this.#dropAt;

  /** As `dropAt`, with the drop that a former owner began: it is met once more, but the collection may be gone already. */
  readonly begunAt = (): bigint => {
    const { droppingAt } = this.#context.claim;
    return droppingAt > this.#dropAt ? droppingAt : this.#dropAt;
  };

  /** @throws FERRY_APPLY_DDL for what would need a person */
  readonly on = async (event: DdlEvent, record: LogRecord): Promise<void> => {
    const { accepted, follower } = this.#context;
    const body = BSON.deserialize(event.command, FOR_LOOKING);
    const note: NoteOutcome = (outcome, steps) =>
      follower.note(event, body, { id: this.#idOf(record), outcome, steps });
    const isAccepted = accepted.has("FERRY_APPLY_DDL");
    switch (event.kind) {
      // These change no document, and may be applied in any order beside documents (ADR 14).
      case "create":
      case "createIndexes":
      case "dropIndexes":
      case "modify":
      case "startIndexBuild":
      case "commitIndexBuild":
      case "abortIndexBuild":
        return this.#follow(event, record, note);
      case "shardCollection":
      case "refineCollectionShardKey":
      case "reshardCollection":
        return note("counted", ["how the source is sharded is not carried"]);
      case "dropDatabase":
        return this.#dropDatabase(event, note);
      case "drop":
        return isAccepted ? this.#countOnly(event, record, note) : this.#drop(event, record, note);
      case "rename":
        return isAccepted
          ? this.#countOnly(event, record, note)
          : this.#rename(event, record, note, body["to"] as Namespace);
      case "invalidate":
        if (isAccepted) return this.#countOnly(event, record, note);
        throw this.#refused(event, record, "");
      default:
        return event.kind satisfies never;
    }
  };

  async #countOnly({ kind }: DdlEvent, { offset }: LogRecord, note: NoteOutcome): Promise<void> {
    const { logger, claim } = this.#context;
    logger.warn({ ns: claim.topic, offset }, `${kind} accepted by the operator: counted, not applied`);
    await note("counted", ["accepted by the operator, not applied"]);
  }

  #idOf(record: LogRecord): string {
    const { route, partition } = this.#context.claim;
    return `${route}/${partition}/${record.offset}`;
  }

  #refused(event: DdlEvent, record: LogRecord, why: string): FerryError {
    const what = `${event.kind} of ${formatNamespace(event.ns)} at offset ${record.offset}`;
    return new FerryError("FERRY_APPLY_DDL", `${what}${why}`);
  }

  async #follow(event: DdlEvent, record: LogRecord, note: NoteOutcome): Promise<void> {
    const { follower, logger, claim } = this.#context;
    const done = await follower.follow(true);
    const fields = { ns: claim.topic, offset: record.offset };
    if (done === undefined) {
      logger.info(fields, `structure event ${event.kind}: counted, not applied`);
      return note("counted", [
        "this structure was not built with `ferry structure build`, or the worker has no --source",
      ]);
    }
    const sentence = `structure event ${event.kind}: the source's structure is followed`;
    logger.info({ ...fields, count: done.length }, sentence);
    return note("applied", done);
  }

  /** Its collections were dropped by events of their own; views and time series have none. */
  async #dropDatabase(event: DdlEvent, note: NoteOutcome): Promise<void> {
    const done = await this.#context.follower.followHollow(event.ns.db);
    return note("applied", ["each of its collections was dropped by an event of its own", ...done]);
  }

  async #drop(event: DdlEvent, record: LogRecord, note: NoteOutcome): Promise<void> {
    const { follower } = this.#context;
    // A view or a time series has no documents here; whether it is gone the source tells.
    if (await follower.isHollow()) return note("applied", (await follower.follow()) ?? []);
    await this.#requireLeave(event, record, note);
    await this.#applyDrop(event, record);
    await note("applied", ["drops the collection"]);
  }

  /** May documents of the target go? @throws FERRY_APPLY_DDL */
  async #requireLeave(event: DdlEvent, record: LogRecord, note: NoteOutcome): Promise<void> {
    const { follower, policy, ddl } = this.#context;
    const id = this.#idOf(record);
    if (!this.#sink.can.incarnations)
      throw this.#refused(
        event,
        record,
        `: ${this.#sink.name} cannot drop what it has now and nothing that comes later`,
      );
    if (policy !== "mirror")
      throw this.#refused(event, record, `: under ${policy} the target's own documents would go with it`);
    if (ddl.drop !== "hold" || (await follower.isApproved(id))) return;
    await note("held", []);
    throw this.#refused(event, record, ` is held; \`ferry structure approve ${id}\` lets it happen`);
  }

  async #applyDrop(event: DdlEvent, record: LogRecord): Promise<void> {
    const { claim, partitionCount, drops, log, logger, follower } = this.#context;
    const prepare = (): Promise<void> => follower.prepare(true);
    await applyDrop({ claim, partitionCount, drops, sink: this.#sink, prepare, log, logger }, event, record);
    this.#dropAt = event.at;
  }

  /**
   * The old name is dropped; the new name is copied again. First the new one: a drop that is
   * done hides the event from the next owner.
   */
  async #rename(event: DdlEvent, record: LogRecord, note: NoteOutcome, to: Namespace): Promise<void> {
    const context = this.#context;
    const over = routesOver(context, to);
    for (const route of over) {
      const why = await obstacle(context, route);
      if (why !== undefined) await this.#haltBoth(event, record, over, why);
    }
    await this.#requireLeave(event, record, note);
    const steps: string[] = [];
    for (const route of over) {
      const { source } = context;
      const copied = source === undefined ? undefined : copyAgain(context, { source, route, at: event.at });
      const count = await copied?.catch((error: unknown) => {
        if (!isFerry(error, "FERRY_MONGO_REJECTED")) throw error;
        return this.#haltBoth(event, record, over, error.detail);
      });
      if (count !== undefined) steps.push(`copies ${count} documents of ${route.from} again`);
    }
    await this.#applyDrop(event, record);
    await note("applied", [...steps, `drops ${formatNamespace(event.ns)}`]);
  }

  /** The route of a collection that was renamed over must not just continue. @throws FERRY_APPLY_DDL */
  async #haltBoth(event: DdlEvent, record: LogRecord, over: readonly Route[], why: string): Promise<never> {
    const refused = this.#refused(event, record, `: ${why}`);
    for (const { name } of over) await this.#context.runs.halt(name, refused);
    throw refused;
  }
}
