import { Long } from "bson";
import type { ProducerIdentity } from "#io/kafka/producer.ts";
import type { Collection } from "#io/mongo/connect.ts";
import { translated } from "#io/mongo/errors.ts";
import { hasServerCode, ServerCode } from "#io/mongo/serverCodes.ts";
import type { StateDb } from "#io/state/stateDb.ts";

/** `ferry.producers`, one record: under which id captures write to Kafka, and the epoch of the newest producer. */
type ProducerRecord = { _id: "capture"; id: Long; epoch: number };

/** The broker keeps an epoch in 15 bits. */
const MOST_EPOCHS = 2 ** 15 - 2;

/**
 * One id for all producers of captures into one state, each with a higher epoch than those before it: a partition refuses what a
 * producer sends once one of a higher epoch has written there (Kafka, KIP-360). So the records that a frozen process still holds cannot
 * come behind those of its successor. The broker forgets ids that nothing was written under for a day (`producer.id.expiration.ms`).
 */
export class ProducerEpochs {
  readonly #records: Collection<ProducerRecord>;

  constructor(state: StateDb) {
    this.#records = state.collection("producers");
  }

  /** @param allot asks Kafka for an id that no producer has. @throws FERRY_MONGO_*, what `allot` throws */
  async next(allot: () => Promise<bigint>): Promise<ProducerIdentity> {
    for (;;) {
      const raised = await translated("raising the producer's epoch", () =>
        this.#records.findOneAndUpdate(
          { _id: "capture", epoch: { $lt: MOST_EPOCHS } },
          { $inc: { epoch: 1 } },
          { returnDocument: "after" },
        ),
      );
      if (raised !== null)
        return { producerId: Long.fromValue(raised.id).toBigInt(), producerEpoch: Number(raised.epoch) };
      await this.#begin(await allot());
    }
  }

  /** Another id: the first one, or where epochs are used up. No-op where another process has begun one meanwhile. */
  async #begin(id: bigint): Promise<void> {
    const fresh = { id: Long.fromBigInt(id), epoch: 0 };
    await translated("noting the producer's id", async () => {
      await this.#records.updateOne({ _id: "capture", epoch: { $gte: MOST_EPOCHS } }, { $set: fresh });
      await this.#records.insertOne({ _id: "capture", ...fresh }).catch((error: unknown) => {
        if (!hasServerCode(error, ServerCode.DuplicateKey)) throw error;
      });
    });
  }
}
