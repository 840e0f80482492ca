import type { Claim } from "#apply/lanes/claims.ts";
import type { LaneStore } from "#apply/lanes/laneStore.ts";
import type { Entry } from "#apply/plan/entry.ts";
import { FerryError } from "#base/errors/ferryError.ts";
import type { Logger } from "#base/observe/log.ts";
import { type ConnectorRecord, type ConnectorStore, isCuredCopy } from "#source/connector/connectorStore.ts";

export type CopyGuardContext = Readonly<{
  claim: Claim;
  store: LaneStore;
  connectors: ConnectorStore;
  logger: Logger;
  accepted: ReadonlySet<string>;
  /** Did the target have documents when the route began? Then to meet some tells nothing. */
  occupied: boolean;
}>;

/** Without a copy time of its own a copied record has only the log's time, which has no counter: seconds decide. */
const isCuredSince = (record: ConnectorRecord, logTimeMs: number): boolean =>
  record.rewoundAt === undefined || Math.floor(logTimeMs / 1000) <= record.rewoundAt.getHighBitsUnsigned();

/**
 * Notices a second copy. The official connector restarts its copy after a restart during the copy; what was deleted
 * between the two copies has no event and would stay on the target for ever. A start made by `ferry cx` is cured by its
 * rewind, which replays everything since before the first copy; any other second copy halts the topic.
 */
export class CopyGuard {
  readonly #context: CopyGuardContext;
  #known: bigint;
  #collided = false;

  constructor(context: CopyGuardContext) {
    this.#context = context;
    this.#known = context.claim.copyAt;
  }

  /** A copy run with its own time. @throws FERRY_CAPTURE_COPY_AGAIN */
  async onCopyRun(copyAt: bigint): Promise<void> {
    const { claim, store } = this.#context;
    if (this.#known !== 0n && copyAt !== this.#known) {
      await this.#second(`a copy made at ${copyAt >> 32n} follows the one made at ${this.#known >> 32n}`, (record) =>
        isCuredCopy(record, copyAt),
      );
    }
    this.#known = copyAt;
    if (copyAt !== 0n) await store.noteCopy(claim.route, claim.partition, copyAt);
  }

  /** Copied documents met documents that are there already. @throws FERRY_CAPTURE_COPY_AGAIN */
  async onCollision(entries: readonly Entry[]): Promise<void> {
    if (this.#collided || this.#context.occupied) return;
    const logTimeMs = entries.find(({ event }) => event?.origin === "copy")?.record.timestampMs ?? 0;
    const what = "copied documents are on the target already: the copy ran twice, or the target was not empty";
    await this.#second(what, (record) => isCuredSince(record, logTimeMs));
    this.#collided = true;
  }

  async #second(what: string, isCured: (record: ConnectorRecord) => boolean): Promise<void> {
    const { claim, connectors, accepted, logger } = this.#context;
    const { topic, partition } = claim;
    // A killed capture reads the rest of its ranges again, and a re-copy all of them: the stream after it covers both.
    if (await connectors.isOwn(topic)) return;
    const starts = (await connectors.all()).filter(({ topics, kind }) => kind === "copy" && topics.includes(topic));
    if (!accepted.has("FERRY_CAPTURE_COPY_AGAIN") && !starts.some(isCured)) {
      throw new FerryError("FERRY_CAPTURE_COPY_AGAIN", `${topic} [${partition}]: ${what}`);
    }
    logger.warn(
      { topic, partition },
      `${what}; ${starts.length > 0 ? "the connector's rewind covers it" : "accepted by the operator"}`,
    );
  }
}
