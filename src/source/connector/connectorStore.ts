import { Timestamp } from "bson";
import type { ErrorCode } from "#base/errors/catalogue.ts";
import { assert } from "#base/errors/ferryError.ts";
import type { Collection } from "#io/mongo/connect.ts";
import { translated } from "#io/mongo/errors.ts";
import type { StateDb } from "#io/state/stateDb.ts";
import type { SourceIdentity } from "#source/stream/deployment.ts";
import { ResumeToken, type StoredToken } from "#source/stream/resumeToken.ts";

/**
 * How far the start of a connector has come. Each state is written before the step after it begins, so a killed
 * `ferry cx` resumes:
 * noted → the start position is durable; the connector may or may not exist yet
 * copying → it was started and copies
 * copied → its copy is in the topic; it is being stopped and its offset set to the start position
 * rewound → its stored offset is the start position; it is being resumed
 * streaming → done; everything since the start position is in the topic or on its way
 */
export type StartState = "noted" | "copying" | "copied" | "rewound" | "streaming";

/** How the connector came to its position: with a copy, without one because there was nothing, or not by ferry. */
export type StartKind = "copy" | "empty" | "no-copy" | "adopted";

/** A finding that stays until an operator accepts it: the interval it was seen in is behind us by the next check. */
export type OpenFinding = {
  code: ErrorCode;
  sentence: string;
  at: Date;
  /** The last position before what it is about: a replay from here closes the gap while the oplog still has it. */
  from: ResumeToken;
};

/** One connector in `ferry.connectors` on the target. `_id`: the connector's name. */
export type ConnectorRecord = {
  _id: string;
  state: StartState;
  kind: StartKind;
  /** Absent in records of earlier versions. */
  source?: SourceIdentity;
  /** Topics that its copy writes to, as known when the start was noted. */
  topics: string[];
  /** Name under which Connect keeps the offset. */
  partition: string;
  /** The start position R0. */
  r0: ResumeToken;
  r0At: Timestamp;
  /** The source's time when the offset had been set back to R0: copies made between r0At and here are cured by it. */
  rewoundAt?: Timestamp;
  /** Up to here the topic was compared with the source's own stream. */
  verified?: ResumeToken;
  open: OpenFinding[];
  notedAt: Date;
  streamingAt?: Date;
  updatedAt: Date;
};

/** The record as it lies on the target. */
export type StoredConnector = Omit<ConnectorRecord, "r0" | "verified" | "open"> & {
  r0: StoredToken;
  verified?: StoredToken;
  open: (Omit<OpenFinding, "from"> & { from: StoredToken })[];
};

const revived = ({ r0, verified, open, ...rest }: StoredConnector): ConnectorRecord => ({
  ...rest,
  r0: ResumeToken.stored(r0),
  ...(verified === undefined ? {} : { verified: ResumeToken.stored(verified) }),
  open: open.map((finding) => ({ ...finding, from: ResumeToken.stored(finding.from) })),
});

/**
 * Was this copy run (its `copyTime`, 64 bits) made while the start was under way? Then the rewind replays everything that
 * happened since before it, and a second run in the topic does no harm.
 */
export const isCuredCopy = (record: ConnectorRecord, copyAt: bigint): boolean =>
  copyAt >= record.r0At.toBigInt() && (record.rewoundAt === undefined || copyAt <= record.rewoundAt.toBigInt());

export type NewConnector = Omit<ConnectorRecord, "_id" | "open" | "notedAt" | "updatedAt">;

const connectorsIn = (state: StateDb): Collection<StoredConnector> => state.collection("connectors");

/** Every connector that ferry knows, by name. @throws FERRY_MONGO_* */
export const readConnectors = (state: StateDb): Promise<ConnectorRecord[]> =>
  translated("reading the connectors' records", async () =>
    (await connectorsIn(state).find().sort({ _id: 1 }).toArray()).map(revived),
  );

/** What ferry remembers of connectors. Majority reads and writes; every method throws FERRY_MONGO_*. */
export class ConnectorStore {
  readonly #state: StateDb;
  readonly #connectors: Collection<StoredConnector>;
  /** Of ferry's own capture: which topics it writes. */
  readonly #captures: Collection<{ source: SourceIdentity; topics: { name: string }[] }>;

  constructor(state: StateDb) {
    this.#state = state;
    this.#connectors = connectorsIn(state);
    this.#captures = state.collection("capture");
  }

  /** Is the topic written by ferry's own capture? Its stream always begins before the first copied document. */
  async isOwn(topic: string): Promise<boolean> {
    const found = await translated(`looking for who captures ${topic}`, () =>
      this.#captures.findOne({ "topics.name": topic }, { projection: { _id: 1 } }),
    );
    return found !== null;
  }

  /** Of which source a topic is known to be; undefined where ferry has not started who writes it. */
  async sourceOf(topic: string): Promise<SourceIdentity | undefined> {
    const [own, connector] = await translated(`looking for the source of ${topic}`, () =>
      Promise.all([
        this.#captures.findOne({ "topics.name": topic }, { projection: { source: 1 } }),
        this.#connectors.findOne({ topics: topic }, { projection: { source: 1 } }),
      ]),
    );
    return own?.source ?? connector?.source;
  }

  async find(name: string): Promise<ConnectorRecord | undefined> {
    const found = await translated(`reading the record of ${name}`, () => this.#connectors.findOne({ _id: name }));
    return found === null ? undefined : revived(found);
  }

  all(): Promise<ConnectorRecord[]> {
    return readConnectors(this.#state);
  }

  /** Writes the start position down, unless one is there already: the first one is the one that counts. */
  async note(name: string, fields: NewConnector): Promise<ConnectorRecord> {
    const now = new Date();
    const fresh = { ...fields, open: [], notedAt: now, updatedAt: now };
    const record = await translated(`noting the start of ${name}`, () =>
      this.#connectors.findOneAndUpdate(
        { _id: name },
        { $setOnInsert: fresh },
        { upsert: true, returnDocument: "after" },
      ),
    );
    assert(record !== null, `the record of ${name} vanished`);
    return revived(record);
  }

  /** Moves to the next state; a no-op when another `ferry cx` was faster. Returns the record as it is now. */
  async advance(
    name: string,
    from: StartState,
    to: StartState,
    more: Partial<ConnectorRecord> = {},
  ): Promise<ConnectorRecord> {
    await this.set(name, { ...more, state: to }, { state: from });
    const record = await this.find(name);
    assert(record !== undefined, `the record of ${name} vanished`);
    return record;
  }

  async set(
    name: string,
    fields: Partial<ConnectorRecord>,
    condition: Partial<Pick<ConnectorRecord, "state">> = {},
  ): Promise<void> {
    await translated(`updating the record of ${name}`, () =>
      this.#connectors.updateOne({ _id: name, ...condition }, { $set: { ...fields, updatedAt: new Date() } }),
    );
  }

  /** Keeps a finding until it is accepted; the same sentence is kept once. */
  async keep(name: string, finding: OpenFinding): Promise<void> {
    await translated(`keeping a finding on ${name}`, () =>
      this.#connectors.updateOne(
        { _id: name, "open.sentence": { $ne: finding.sentence } },
        { $push: { open: finding }, $set: { updatedAt: new Date() } },
      ),
    );
  }

  /** Drops all kept findings: the operator has dealt with them. Returns them. */
  async acceptAll(name: string): Promise<readonly OpenFinding[]> {
    const open = (await this.find(name))?.open ?? [];
    await this.set(name, { open: [] });
    return open;
  }

  /** Is a copy run in this topic covered by the rewind of a start that ferry made? `copyAt` 0n: the run has no time of its own. */
  async coversCopy(topic: string, copyAt: bigint): Promise<boolean> {
    const found = await translated(`reading the starts that feed ${topic}`, () =>
      this.#connectors.find({ topics: topic }).toArray(),
    );
    return found
      .map(revived)
      .some((record) => record.kind !== "adopted" && (copyAt === 0n || isCuredCopy(record, copyAt)));
  }

  async forget(name: string): Promise<void> {
    await translated(`forgetting ${name}`, () => this.#connectors.deleteOne({ _id: name }));
  }
}

/** A 64-bit cluster time as BSON. */
export const toTimestamp = (at: bigint): Timestamp => new Timestamp(at);
