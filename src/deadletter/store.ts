import { Binary, Long } from "bson";
import type { ErrorCode } from "#errors/catalogue.ts";
import type { ClientSession, Collection, Db, MongoClient } from "#mongo/connect.ts";
import { translated } from "#mongo/errors.ts";

/** One event set aside. `_id` is its position, so that it is stored once however often it is met. */
export type DeadLetter = Readonly<{
  topic: string;
  partition: number;
  offset: number;
  lane: string;
  ns: string;
  /** Identity of the documentKey (`bson/identity.ts`); null where the record holds no key. */
  identity: string | null;
  /** Raw documentKey. */
  documentKey: Uint8Array | null;
  code: ErrorCode;
  reason: string;
  /** The target's own error code, where it was the target that refused. */
  serverCode: number | undefined;
  recordKey: Uint8Array | null;
  /** The record's value as it was on the topic. */
  raw: Uint8Array | null;
  logTimeMs: number;
}>;

export type DeadLetterRecord = {
  _id: string;
  topic: string;
  partition: number;
  offset: Long;
  lane: string;
  ns: string;
  identity: Binary | null;
  documentKey: Binary | null;
  code: string;
  reason: string;
  serverCode: number | null;
  recordKey: Binary | null;
  /** Null when the value is empty or lies in chunks. */
  raw: Binary | null;
  rawBytes: number;
  chunks: number;
  logTime: Date;
  storedAt: Date;
  attempts: number;
  state: "waiting";
};

type ChunkRecord = { _id: string; letter: string; n: number; data: Binary };

/** A record may be as large as a document may be; beside its reason it would no longer fit one. */
const INLINE_BYTES = 4 * 1024 * 1024;
const CHUNK_BYTES = 8 * 1024 * 1024;

const binary = (bytes: Uint8Array | null): Binary | null => (bytes === null ? null : new Binary(bytes));

const positionOf = (letter: DeadLetter): string => `${letter.topic}/${letter.partition}/${letter.offset}`;

const toRecord = (letter: DeadLetter, chunks: number): DeadLetterRecord => ({
  _id: positionOf(letter),
  topic: letter.topic,
  partition: letter.partition,
  offset: Long.fromNumber(letter.offset),
  lane: letter.lane,
  ns: letter.ns,
  identity: letter.identity === null ? null : new Binary(Buffer.from(letter.identity, "latin1")),
  documentKey: binary(letter.documentKey),
  code: letter.code,
  reason: letter.reason,
  serverCode: letter.serverCode ?? null,
  recordKey: binary(letter.recordKey),
  raw: chunks > 0 ? null : binary(letter.raw),
  rawBytes: letter.raw?.length ?? 0,
  chunks,
  logTime: new Date(letter.logTimeMs),
  storedAt: new Date(),
  attempts: 1,
  state: "waiting",
});

/** The dead letters in ferry's database on the target. Every method throws FERRY_MONGO_*. */
export class DeadLetterStore {
  readonly #letters: Collection<DeadLetterRecord>;
  readonly #chunks: Collection<ChunkRecord>;

  constructor(client: MongoClient, stateDb: string) {
    const db: Db = client.db(stateDb);
    this.#letters = db.collection("deadLetters");
    this.#chunks = db.collection("deadLetterChunks");
  }

  /** Stores letters, within the lane's transaction where there is one. */
  async add(letters: readonly DeadLetter[], session: ClientSession | undefined): Promise<void> {
    await translated("storing dead letters", async () => {
      for (const letter of letters) await this.#addOne(letter, session === undefined ? {} : { session });
    });
  }

  async #addOne(letter: DeadLetter, options: { session?: ClientSession }): Promise<void> {
    const raw = letter.raw !== null && letter.raw.length > INLINE_BYTES ? letter.raw : undefined;
    const chunks = raw === undefined ? 0 : Math.ceil(raw.length / CHUNK_BYTES);
    const record = toRecord(letter, chunks);
    for (let n = 0; n < chunks && raw !== undefined; n++) {
      const data = new Binary(raw.subarray(n * CHUNK_BYTES, (n + 1) * CHUNK_BYTES));
      await this.#chunks.replaceOne(
        { _id: `${record._id}/${n}` },
        { letter: record._id, n, data },
        { upsert: true, ...options },
      );
    }
    const { _id, ...rest } = record;
    await this.#letters.replaceOne({ _id }, rest, { upsert: true, ...options });
  }

  /** Identities that wait, of one partition (its keys may be spread over other lanes by now): later events must follow them. */
  async held(topic: string, partition: number): Promise<Set<string>> {
    const found = await translated("reading held keys", () =>
      this.#letters
        .find({ topic, partition, state: "waiting", identity: { $ne: null } }, { projection: { identity: 1 } })
        .toArray(),
    );
    return new Set(found.map((letter) => Buffer.from(letter.identity?.buffer ?? []).toString("latin1")));
  }

  async count(topic: string): Promise<number> {
    return translated("counting dead letters", () => this.#letters.countDocuments({ topic, state: "waiting" }));
  }
}
