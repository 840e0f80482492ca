import { Binary } from "bson";
import { KEPT_BYTES } from "#apply/conflict/conflictRecords.ts";
import type { Claim } from "#apply/lanes/claims.ts";
import type { Entry } from "#apply/plan/entry.ts";
import type { RepairRecord, RepairStore } from "#apply/repair/repairStore.ts";
import type { StateTx } from "#base/flow/stateTx.ts";
import type { Namespace } from "#base/flow/types.ts";
import type { Sink } from "#sink/sink.ts";
import type { SourceDocuments } from "#source/stream/sourceDocuments.ts";
import type { Lane } from "./lane.ts";
import type { LaneWriter } from "./laneWriter.ts";
import type { Did } from "./repairWrite.ts";

export type RepairsDeps = Readonly<{
  claim: Claim;
  /** Namespace of the source. */
  from: Namespace;
  sink: Sink;
  store: RepairStore;
  /** Undefined where this worker was given none: then it can repair nothing. */
  source: SourceDocuments | undefined;
  lanes: readonly Readonly<{ lane: Lane; writer: LaneWriter }>[];
  /** Which lane a document belongs to. */
  lane: (key: Uint8Array, lanes: number) => number;
}>;

/** The source's document changed between the look at it and the write: the change itself arrives anyway. */
class Moved extends Error {}

const bytesOf = ({ key }: RepairRecord): Uint8Array => key.buffer.subarray(0, key.position);

const same = (a: Uint8Array | undefined, b: Uint8Array | undefined): boolean =>
  a === undefined || b === undefined ? a === b : Buffer.compare(a, b) === 0;

const kept = (bytes: Uint8Array | undefined): Binary | null =>
  bytes === undefined || bytes.length > KEPT_BYTES ? null : new Binary(bytes);

/**
 * Writes documents again that verification found to be wrong, as the source has them now, through the lane's own drift policy,
 * filter and conflict policy, in a transaction with the lane's epoch that leaves it where it stands. The source is read once more
 * within that transaction, which sees all that any lane has written by then: what is written is never older than what is there.
 */
export class Repairs {
  readonly #deps: RepairsDeps;

  constructor(deps: RepairsDeps) {
    this.#deps = deps;
  }

  /** Carries out what was asked for by now. @throws FERRY_FENCED, FERRY_MONGO_* */
  async look(): Promise<void> {
    const { claim, store, lanes, lane } = this.#deps;
    for (const record of await store.due(claim.route, claim.partition)) {
      const owner = lanes[lane(bytesOf(record), lanes.length)];
      if (owner !== undefined) await owner.lane.between(() => this.#carryOut(record, owner.writer));
    }
  }

  async #carryOut(record: RepairRecord, writer: LaneWriter): Promise<void> {
    const refused = await this.#write(record, writer);
    if (refused !== undefined)
      await this.#deps.store.settle(record._id, { state: "refused", reason: refused }, undefined);
  }

  /** @returns why it cannot be done */
  async #write(record: RepairRecord, writer: LaneWriter): Promise<string | undefined> {
    const { source, sink, store } = this.#deps;
    if (source === undefined) return "the worker that owns its partition has no --source";
    const key = bytesOf(record);
    const read = async (): Promise<Uint8Array | undefined> => (await source.read([key], 0n))[0];
    const document = await read();
    const [before] = await sink.read([key]);
    const settle = (did: Did, tx: StateTx | undefined): Promise<void> =>
      store.settle(record._id, { state: "done", before: kept(before), did }, tx);
    try {
      return await writer.repair(this.#entry(key, document, writer), async (did, tx) => {
        if (!same(document, await read())) throw new Moved();
        await settle(did, tx);
      });
    } catch (error) {
      if (!(error instanceof Moved)) throw error;
      await settle("left", undefined);
      return undefined;
    }
  }

  /** As if the source had just written, or deleted, the document. */
  #entry(key: Uint8Array, doc: Uint8Array | undefined, { state }: LaneWriter): Entry {
    const about = { ns: this.#deps.from, origin: "stream", at: state.at, key } as const;
    return {
      record: { key: null, value: null, offset: state.offset, timestampMs: state.logTimeMs },
      event: doc === undefined ? { op: "delete", ...about } : { op: "write", ...about, doc, fresh: false },
      dead: undefined,
    };
  }
}
