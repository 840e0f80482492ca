import type { FerryError } from "#base/errors/ferryError.ts";
import type { Fence, SourceTime } from "#cutover/machine/parts.ts";
import type { MongoClient } from "#io/mongo/connect.ts";
import { clusterTime } from "#source/stream/sourceProbe.ts";

/** The operator has stopped the writers himself: nothing is refused, and any write after this moment ends the cutover. */
export class NoFence implements Fence {
  readonly kind = "none";
  readonly #source: MongoClient;

  constructor(source: MongoClient) {
    this.#source = source;
  }

  async unready(): Promise<readonly FerryError[]> {
    return [];
  }

  async raise(): Promise<SourceTime> {
    return (await clusterTime(this.#source)).toBigInt();
  }

  async lift(): Promise<void> {
    // nothing is up
  }
}
