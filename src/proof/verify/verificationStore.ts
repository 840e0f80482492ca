import { createHash } from "node:crypto";
import { Binary, Long, type Timestamp } from "bson";
import { identityOf } from "#base/bson/identity.ts";
import type { AnyBulkWriteOperation, Collection } from "#io/mongo/connect.ts";
import { translated } from "#io/mongo/errors.ts";
import type { StateDb } from "#io/state/stateDb.ts";
import { timestampOf } from "./reads.ts";
import type { Moment, Wrong } from "./recheck.ts";
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
  /** The target's, likewise. */
  startedTarget: Timestamp;
  finishedAt?: Date;
  /** Documents of the source that the pass compared. */
  documents?: Long;
  /** clusterTime of the source: what it committed by then is on the target, or among the findings. */
  verifiedTo?: Timestamp;
  /** clusterTime of the target: what was written there by then was compared. */
  verifiedTarget?: Timestamp;
  /** Documents that were on their way when this was written. */
  behind?: Long;
  /** When it was last written by a process that follows changes, by the clock of the state's server. */
  followedAt?: Date;
};

/** Up to when the record's pass, or what followed it, has proven its route; undefined where it has not ended. */
export const provenUpTo = ({ finishedAt, verifiedTo, verifiedTarget }: VerificationRecord): Moment | undefined =>
  finishedAt === undefined || verifiedTo === undefined || verifiedTarget === undefined
    ? undefined
    : { source: verifiedTo.toBigInt(), target: verifiedTarget.toBigInt() };

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

/** `ferry.verificationStructure`, one record: what the last look at the structure found. */
export type StructureResult = {
  _id: "structure";
  at: Date;
  /** `ns`, or `ns index`, of what is not as it should be. */
  wrong: string[];
  /** How much is deferred until finalize. */
  deferred: number;
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

const progressFields = (at: Moment, behind: number): object => ({
  verifiedTo: timestampOf(at.source),
  verifiedTarget: timestampOf(at.target),
  behind: Long.fromNumber(behind),
});

/** What verification remembers. Every method throws FERRY_MONGO_*. */
export class VerificationStore {
  readonly #passes: Collection<VerificationRecord>;
  readonly #findings: Collection<FindingRecord>;
  readonly #structure: Collection<StructureResult>;

  constructor(state: StateDb) {
    this.#passes = state.collection("verification");
    this.#findings = state.collection("verificationFindings");
    this.#structure = state.collection("verificationStructure");
  }

  async read(route: string): Promise<VerificationRecord | undefined> {
    return (
      (await translated(`reading the verification of ${route}`, () => this.#passes.findOne({ _id: route }))) ??
      undefined
    );
  }

  /** Of these routes, as far as they were ever verified. */
  async all(routes: readonly string[]): Promise<VerificationRecord[]> {
    return translated("reading how far verification is", () =>
      this.#passes.find({ _id: { $in: [...routes] } }, { projection: { ranges: 0 } }).toArray(),
    );
  }

  /** Documents that are wrong, of these routes. */
  async wrongOf(routes: readonly string[]): Promise<number> {
    return translated("counting what is wrong", () =>
      this.#findings.countDocuments({ route: { $in: [...routes] }, kind: { $ne: "pending" } }),
    );
  }

  /** Every route that was ever verified, in order, each with the number of its documents that are wrong. */
  async everyRoute(): Promise<readonly Readonly<{ record: VerificationRecord; wrong: number }>[]> {
    return translated("reading how far verification is", async () => {
      const records = await this.#passes
        .find({}, { projection: { "ranges.from": 0, "ranges.to": 0 } })
        .sort({ _id: 1 });
      const counted = this.#findings.aggregate<{ _id: string; wrong: number }>([
        { $match: { kind: { $ne: "pending" } } },
        { $group: { _id: "$route", wrong: { $sum: 1 } } },
      ]);
      const wrong = new Map((await counted.toArray()).map(({ _id, wrong: n }) => [_id, n]));
      return (await records.toArray()).map((record) => ({ record, wrong: wrong.get(record._id) ?? 0 }));
    });
  }

  async noteStructure(wrong: readonly string[], deferred: number): Promise<void> {
    await translated("noting what the structure lacks", () =>
      this.#structure.replaceOne(
        { _id: "structure" },
        { at: new Date(), wrong: [...wrong], deferred },
        { upsert: true },
      ),
    );
  }

  /** Undefined where it was never looked at. */
  async structure(): Promise<StructureResult | undefined> {
    const found = await translated("reading what the structure lacks", () =>
      this.#structure.findOne({ _id: "structure" }),
    );
    return found ?? undefined;
  }

  /** A new pass. @param restart what the last one proved is void; otherwise it stays until this one has ended */
  async begin(
    record: Omit<VerificationRecord, "startedAt" | "ranges">,
    bounds: readonly Bounds[],
    restart: boolean,
  ): Promise<VerificationRecord> {
    const ranges = bounds.map(({ from, to }) => ({
      from: binary(from),
      to: binary(to),
      documents: Long.ZERO,
      done: false,
    }));
    const proven = restart ? ({ verifiedTo: "", verifiedTarget: "", behind: "" } as const) : {};
    const { _id, ...begun } = { ...record, startedAt: new Date(), ranges };
    await translated(`beginning the verification of ${_id}`, () =>
      this.#passes.updateOne({ _id }, { $set: begun, $unset: { finishedAt: "", ...proven } }, { upsert: true }),
    );
    return { _id, ...begun };
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

  /** The pass has ended: everything before the moment at which it began is compared. */
  async finish(route: string, documents: number, at: Moment, behind: number): Promise<void> {
    await translated(`ending the verification of ${route}`, () =>
      this.#passes.updateOne(
        { _id: route },
        { $set: { finishedAt: new Date(), documents: Long.fromNumber(documents), ...progressFields(at, behind) } },
      ),
    );
  }

  /** What was proven by a pass is proven up to a later moment. */
  async advanceVerified(at: Moment, behind: ReadonlyMap<string, number>): Promise<void> {
    const operations = [...behind].map(([_id, waiting]) => ({
      updateOne: {
        filter: { _id, finishedAt: { $exists: true } },
        update: { $set: progressFields(at, waiting), $currentDate: { followedAt: true as const } },
      },
    }));
    await translated("noting how far is verified", () => this.#passes.bulkWrite(operations, { ordered: false }));
  }

  /** What was proven is void: documents came or went that no change tells of. */
  async forget(routes: readonly string[]): Promise<void> {
    await translated("beginning to verify again", () => this.#passes.deleteMany({ _id: { $in: [...routes] } }));
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
              ...(difference === undefined ? {} : { how: difference.kind, path: difference.path }),
            },
            $min: { since: timestampOf(since) }, // an earlier pass may have found it
            $setOnInsert: { foundAt: new Date() },
          },
          upsert: true,
        },
      })),
      ...(right.length === 0
        ? []
        : [{ deleteMany: { filter: { _id: { $in: right.map((key) => findingId(route, key)) } } } }]),
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
