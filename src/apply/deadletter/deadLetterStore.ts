import { Binary, type Document } from "bson";
import type { StateTx } from "#base/flow/stateTx.ts";
import type { Collection } from "#io/mongo/connect.ts";
import { translated } from "#io/mongo/errors.ts";
import { within } from "#io/mongo/session.ts";
import type { StateDb } from "#io/state/stateDb.ts";
import type { LetterBook } from "./letterBook.ts";
import {
  CHUNK_BYTES,
  type DeadLetter,
  type DeadLetterRecord,
  INLINE_BYTES,
  identityBinary,
  identityText,
  type LetterState,
  letterId,
  nextTry,
  toRecord,
  type Why,
} from "./letterRecords.ts";

type ChunkRecord = { _id: string; letter: string; n: number; data: Binary };

/** Letters that are read at a time, or named in one command. */
const AT_ONCE = 1000;

/** Which letters are meant; what is left out does not limit. */
export type LetterFilter = Readonly<{
  ids?: readonly string[];
  route?: string | undefined;
  /** Code of the reason. */
  code?: string | undefined;
  identity?: string | undefined;
}>;

const queryOf = ({ ids, route, code, identity }: LetterFilter): Document => ({
  ...(ids === undefined ? {} : { _id: { $in: [...ids] } }),
  ...(route === undefined ? {} : { route }),
  ...(code === undefined ? {} : { code }),
  ...(identity === undefined ? {} : { identity: identityBinary(identity) }),
});

/** A filter that names many letters, in parts: what a command names must fit into 16 MB. */
const partsOf = ({ ids, ...rest }: LetterFilter): readonly LetterFilter[] =>
  ids === undefined
    ? [rest]
    : Array.from({ length: Math.ceil(ids.length / AT_ONCE) }, (_, n) => ({
        ...rest,
        ids: ids.slice(n * AT_ONCE, (n + 1) * AT_ONCE),
      }));

const lettersIn = (state: StateDb): Collection<DeadLetterRecord> => state.collection("deadLetters");

/** How many letters there are, by route. @throws FERRY_MONGO_* */
export const readLetterCounts = async (state: StateDb): Promise<Readonly<{ route: string; letters: number }>[]> => {
  const found = await translated("counting dead letters", () =>
    lettersIn(state)
      .aggregate<{ _id: string; letters: number }>([
        { $group: { _id: "$route", letters: { $sum: 1 } } },
        { $sort: { _id: 1 } },
      ])
      .toArray(),
  );
  return found.map(({ _id, letters }) => ({ route: _id, letters }));
};

/**
 * The dead letters in ferry's database on the target. Operators read and mark them from anywhere; only the owner of their
 * partition adds, replays and removes them, in its lane's transaction (`LetterBook`). Every method throws FERRY_MONGO_*.
 */
export class DeadLetterStore implements LetterBook {
  readonly #letters: Collection<DeadLetterRecord>;
  readonly #chunks: Collection<ChunkRecord>;

  constructor(state: StateDb) {
    this.#letters = lettersIn(state);
    this.#chunks = state.collection("deadLetterChunks");
  }

  async add(letters: readonly DeadLetter[], tx: StateTx | undefined): Promise<void> {
    await translated("storing dead letters", async () => {
      for (const letter of letters) await this.#addOne(letter, tx);
    });
  }

  async #addOne(letter: DeadLetter, tx: StateTx | undefined): Promise<void> {
    const raw = letter.raw !== null && letter.raw.length > INLINE_BYTES ? letter.raw : undefined;
    const chunks = raw === undefined ? 0 : Math.ceil(raw.length / CHUNK_BYTES);
    const record = toRecord(letter, chunks);
    for (let n = 0; n < chunks && raw !== undefined; n++) {
      const data = new Binary(raw.subarray(n * CHUNK_BYTES, (n + 1) * CHUNK_BYTES));
      await this.#chunks.replaceOne(
        { _id: `${record._id}/${n}` },
        { letter: record._id, n, data },
        { upsert: true, ...within(tx) },
      );
    }
    const { _id, ...rest } = record;
    await this.#letters.replaceOne({ _id }, rest, { upsert: true, ...within(tx) });
  }

  async known(letters: readonly DeadLetter[]): Promise<Set<DeadLetter>> {
    if (letters.length === 0) return new Set();
    const ids = letters.map(letterId);
    const found = await translated("looking for dead letters", () =>
      this.#letters.find({ _id: { $in: ids } }, { projection: { logTime: 1 } }).toArray(),
    );
    const times = new Map(found.map(({ _id, logTime }) => [_id, logTime.getTime()]));
    return new Set(letters.filter((letter) => times.get(letterId(letter)) === letter.logTimeMs));
  }

  async held(route: string, partition: number): Promise<Map<string, Uint8Array>> {
    const waiting = { route, partition, identity: { $ne: null } };
    const found = await translated("reading held keys", () =>
      this.#letters.find(waiting, { projection: { identity: 1, documentKey: 1 } }).toArray(),
    );
    return new Map(
      found.flatMap(({ identity, documentKey }) =>
        identity === null || documentKey === null ? [] : [[identityText(identity), documentKey.buffer] as const],
      ),
    );
  }

  /** Which of these identities wait, whatever their partition. */
  async heldAmong(route: string, identities: readonly string[]): Promise<Set<string>> {
    const found = await translated("reading held keys", () =>
      this.#letters.distinct("identity", { route, identity: { $in: identities.map(identityBinary) } }),
    );
    return new Set(found.flatMap((identity) => (identity === null ? [] : [identityText(identity)])));
  }

  async count(filter: LetterFilter): Promise<number> {
    return translated("counting dead letters", () => this.#letters.countDocuments(queryOf(filter)));
  }

  /** Letters without their raw values, in the order of the log; where many ids are named, a part of them after the other. */
  async list(filter: LetterFilter, limit: number): Promise<DeadLetterRecord[]> {
    const found: DeadLetterRecord[] = [];
    for (const part of partsOf(filter)) {
      if (found.length === limit) break; // a limit of 0 would be none
      found.push(...(await this.#find("listing dead letters", queryOf(part), limit - found.length)));
    }
    return found;
  }

  #find(what: string, query: Document, limit: number): Promise<DeadLetterRecord[]> {
    const found = this.#letters.find(query, { projection: { raw: 0 } }).sort({ route: 1, partition: 1, offset: 1 });
    return translated(what, () => found.limit(limit).toArray() as Promise<DeadLetterRecord[]>);
  }

  /** Notes a decision. Answers with how many letters it is for. */
  async decide(filter: LetterFilter, state: LetterState): Promise<number> {
    let matched = 0;
    for (const part of partsOf(filter)) {
      const result = await translated("deciding on dead letters", () =>
        this.#letters.updateMany(queryOf(part), { $set: { state } }),
      );
      matched += result.matchedCount;
    }
    return matched;
  }

  due(route: string, partition: number): Promise<DeadLetterRecord[]> {
    const due = [{ state: { $ne: "waiting" } }, { retryAt: { $lte: new Date() } }];
    return this.#find("reading due dead letters", { route, partition, $or: due }, AT_ONCE);
  }

  queue(route: string, partition: number, identity: string): Promise<DeadLetterRecord[]> {
    const query = { route, partition, identity: identityBinary(identity) };
    return this.#find("reading a key's dead letters", query, AT_ONCE);
  }

  async raw(id: string): Promise<Uint8Array | null> {
    return translated("reading a dead letter", async () => {
      const letter = await this.#letters.findOne({ _id: id });
      if (letter === null) return null;
      if (letter.chunks === 0) return letter.raw?.buffer ?? null;
      const chunks = await this.#chunks.find({ letter: id }).sort({ n: 1 }).toArray();
      return Buffer.concat(chunks.map(({ data }) => data.buffer));
    });
  }

  async remove(id: string, tx: StateTx | undefined): Promise<boolean> {
    const options = within(tx);
    return translated("removing a dead letter", async () => {
      await this.#chunks.deleteMany({ letter: id }, options);
      return (await this.#letters.deleteOne({ _id: id }, options)).deletedCount === 1;
    });
  }

  async again({ _id, state, attempts }: DeadLetterRecord, why: Why): Promise<void> {
    const retryAt = nextTry(attempts + 1, why.serverCode);
    const met = { $set: { ...why, retryAt }, $inc: { attempts: 1 } };
    await translated("keeping a dead letter", async () => {
      const waits = { ...met, $set: { ...met.$set, state: "waiting" as const } };
      const { matchedCount } = await this.#letters.updateOne({ _id, state }, waits);
      if (matchedCount === 0) await this.#letters.updateOne({ _id }, met);
    });
  }
}
