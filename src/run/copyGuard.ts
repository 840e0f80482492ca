import type { Entry } from "#apply/entry.ts";
import { FerryError } from "#errors/ferryError.ts";
import type { Claim, LaneStore } from "#lanes/laneStore.ts";
import type { Logger } from "#observe/log.ts";

export type CopyGuardContext = Readonly<{
  claim: Claim;
  store: LaneStore;
  logger: Logger;
  accepted: ReadonlySet<string>;
}>;

/**
 * Notices a second copy. The official connector begins its copy anew after a restart in mid-copy; what was deleted
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
    if (this.#known !== 0n && copyAt !== this.#known)
      await this.#second(`a copy of another time began (${copyAt >> 32n} after ${this.#known >> 32n})`);
    this.#known = copyAt;
    if (copyAt !== 0n) await store.noteCopy(claim.topic, claim.partition, copyAt);
  }

  /** Copied documents met documents that are there already. @throws FERRY_CAPTURE_COPY_AGAIN */
  async onCollision(_entries: readonly Entry[]): Promise<void> {
    if (this.#collided) return;
    this.#collided = true;
    await this.#second("copied documents are on the target already, so the copy ran twice or the target was not empty");
  }

  async #second(what: string): Promise<void> {
    const { claim, store, accepted, logger } = this.#context;
    const topic = claim.topic;
    if (accepted.has("FERRY_CAPTURE_COPY_AGAIN") || (await store.rewindCovers(topic))) {
      logger.warn({ topic, partition: claim.partition }, `${what}; the connector's rewind covers it`);
      return;
    }
    throw new FerryError("FERRY_CAPTURE_COPY_AGAIN", `${topic} [${claim.partition}]: ${what}`);
  }
}
