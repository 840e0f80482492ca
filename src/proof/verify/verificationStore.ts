import { createHash } from "node:crypto";
import { Binary, Long, type Timestamp } from "bson";
import { identityOf } from "#base/bson/identity.ts";
import type { AnyBulkWriteOperation, Collection, MongoClient } from "#io/mongo/connect.ts";
import { translated } from "#io/mongo/errors.ts";
import { timestampOf } from "./reads.ts";
import type { Wrong } from "./recheck.ts";
import type { Bounds } from "./side.ts";

/** A range of a pass. Bounds and `next` are raw `{ _id }`s; null: that end of the collection. */
export type RangeProgress = {
  from: Binary | null;
  to: Binary | null;
  /** Where it is to be resumed; absent before its first step. */
  next?: Binary | null;
  documents: Long;
  done: boolean;
};

/** `ferry.verification`, one record a route: the pass that is under way, or the last one. */
export type VerificationRecord = {
  _id: string;
  from: string;
  to: string;
  /** A digest of the route's rules: what was compared by other rules proves nothing. */
  rules: string;
  pass: number;
  startedAt: Date;
  ranges: RangeProgress[];
  /** The source's clusterTime when the pass began: nothing that it compared is older. */
  startedSource: Timestamp;
  finishedAt?: Date;
  /** Documents of the source that the pass compared. */
  documents?: Long;
};

/** `ferry.verificationFindings`: what was seen to differ. `pending` waits for a second look; the others are wrong. */
export type FindingRecord = {
  _id: string;
  route: string;
  /** Raw `{ _id }`. */
  key: Binary;
  kind: "pending" | "missing" | "extra" | "different";
  /** How documents that are there on both sides differ, and in which field. */
  how?: string;
  path?: string;
  /** Source time since which the target should have been right. */
  since?: Timestamp;
  foundAt: Date;
};

/** Identities may be long and of any bytes. */
const findingId = (route: string, key: Uint8Array): string =>
  `${route}/${createHash("sha256").update(identityOf(key)).digest("base64url")}`;

const binary = (bound: Uint8Array | undefined): Binary | null => (bound === undefined ? null : new Binary(bound));
const bytes = (bound: Binary | null | undefined): Uint8Array | undefined =>
  bound === null || bound === undefined ? undefined : bound.buffer.subarray(0, bound.position);

/** What is left of a range. */
export const leftOf = ({ from, to, next }: RangeProgress): Bounds => ({
  from: bytes(next === undefined ? from : next),
  to: bytes(to),
});

/** What verification remembers. Every method throws FERRY_MONGO_*. */
export class VerificationStore {
  readonly #passes: Collection<VerificationRecord>;
  readonly #findings: Collection<FindingRecord>;

  constructor(client: MongoClient, stateDb: string) {
    this.#passes = client.db(stateDb).collection("verification");
    this.#findings = client.db(stateDb).collection("verificationFindings");
  }

  async prepare(): Promise<void> {
    await translated("preparing the verification's records", () => this.#findings.createIndex({ route: 1, kind: 1 }));
  }

  async read(route: string): Promise<VerificationRecord | undefined> {
    return (
      (await translated(`reading the verification of ${route}`, () => this.#passes.findOne({ _id: route }))) ??
      undefined
    );
  }

  async begin(
    record: Omit<VerificationRecord, "startedAt" | "ranges">,
    bounds: readonly Bounds[],
  ): Promise<VerificationRecord> {
    const ranges = bounds.map(({ from, to }) => ({
      from: binary(from),
      to: binary(to),
      documents: Long.ZERO,
      done: false,
    }));
    const begun = { ...record, startedAt: new Date(), ranges };
    await translated(`beginning the verification of ${record._id}`, () =>
      this.#passes.replaceOne({ _id: record._id }, begun, { upsert: true }),
    );
    return begun;
  }

  /** Everything of the range before `next` is compared, and what was suspect of it is in the findings. */
  async advance(
    route: string,
    index: number,
    next: Uint8Array | undefined,
    documents: number,
    done: boolean,
  ): Promise<void> {
    const range = `ranges.${index}`;
    await translated(`noting the verification of ${route}`, () =>
      this.#passes.updateOne(
        { _id: route },
        {
          $set: {
            [`${range}.next`]: binary(next),
            [`${range}.documents`]: Long.fromNumber(documents),
            [`${range}.done`]: done,
          },
        },
      ),
    );
  }

  async finish(route: string, documents: number): Promise<void> {
    await translated(`ending the verification of ${route}`, () =>
      this.#passes.updateOne(
        { _id: route },
        { $set: { finishedAt: new Date(), documents: Long.fromNumber(documents) } },
      ),
    );
  }

  /** Those that wait for a second look, so that a restart looks at them. */
  async suspect(route: string, keys: readonly Uint8Array[]): Promise<void> {
    await this.#write(
      keys.map((key) => ({
        updateOne: {
          filter: { _id: findingId(route, key) },
          update: { $setOnInsert: { route, key: new Binary(key), kind: "pending" as const, foundAt: new Date() } },
          upsert: true,
        },
      })),
    );
  }

  /** Verdicts: those that are wrong are kept, the others forgotten. */
  async judge(route: string, wrong: readonly Wrong[], right: readonly Uint8Array[]): Promise<void> {
    await this.#write([
      ...wrong.map(({ key, kind, difference, since }) => ({
        updateOne: {
          filter: { _id: findingId(route, key) },
          update: {
            $set: {
              route,
              key: new Binary(key),
              kind,
              since: timestampOf(since),
              ...(difference === undefined ? {} : { how: difference.kind, path: difference.path }),
            },
            $setOnInsert: { foundAt: new Date() },
          },
          upsert: true,
        },
      })),
      ...right.map((key) => ({ deleteOne: { filter: { _id: findingId(route, key) } } })),
    ]);
  }

  /** Raw `{ _id }`s of all that was ever seen to differ and was not settled since. */
  async *keys(route: string): AsyncGenerator<Uint8Array> {
    const found = this.#findings.find({ route }, { projection: { key: 1 } });
    for await (const { key } of found) yield key.buffer.subarray(0, key.position);
  }

  /** Findings that are wrong, oldest first. */
  async wrong(route: string, most: number): Promise<{ total: number; first: FindingRecord[] }> {
    const filter = { route, kind: { $ne: "pending" as const } };
    return translated(`reading the findings of ${route}`, async () => ({
      total: await this.#findings.countDocuments(filter),
      first: await this.#findings.find(filter).sort({ foundAt: 1, _id: 1 }).limit(most).toArray(),
    }));
  }

  async #write(operations: AnyBulkWriteOperation<FindingRecord>[]): Promise<void> {
    if (operations.length === 0) return;
    await translated("noting what verification found", () => this.#findings.bulkWrite(operations, { ordered: false }));
  }
}
