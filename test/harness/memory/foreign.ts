import { Binary, BSON, type Document, type Timestamp } from "bson";
import { type ConflictRecord, fieldKey, type Mark } from "#apply/conflict/conflictRecords.ts";
import type {
  ConflictBook,
  ForeignBatch,
  ForeignWrite,
  ForeignWrites,
  FoundMarks,
  MarkBook,
  WatchStart,
} from "#apply/conflict/foreignWrites.ts";
import { identityOf } from "#base/bson/identity.ts";
import type { Clock } from "#base/flow/clock.ts";
import { pauseFor } from "#base/flow/every.ts";
import type { StateTx } from "#base/flow/stateTx.ts";
import { ResumeToken, tokenTime } from "#source/stream/resumeToken.ts";
import { type MemoryClient, timeOf } from "./database.ts";
import { documentKeyIn } from "./memorySink.ts";

/** Writes that others did, in a list of their own beside the documents: as a change stream would show them. */
const FOREIGN = "foreign ";

const listKey = (name: string): string => `${FOREIGN}${name}`;

/**
 * A service's write on the target, past ferry. `change` gets the document, undefined where there is none, and gives the one that
 * is to be there. @throws a write conflict where a transaction has the document at this moment
 */
export const writeAsOther = (
  { db }: MemoryClient,
  name: string,
  documentKey: Uint8Array,
  change: (now: Document | undefined) => Document | undefined,
): Uint8Array | undefined => {
  const key = documentKeyIn(name, documentKey);
  const now = db.look(key, undefined) as Uint8Array | undefined;
  const before = now && BSON.deserialize(now, { promoteValues: false });
  const after = change(before && { ...before });
  const next = after && BSON.serialize(after);
  if (next === undefined && now === undefined) return undefined; // nothing to write
  db.change(key, next, undefined);
  const names = Object.keys(after ?? {}).filter((field) => before?.[field] !== after?.[field]);
  const write = { documentKey, at: timeOf(db.version), fields: after === undefined ? undefined : names };
  const list = (db.look(listKey(name), undefined) as readonly ForeignWrite[] | undefined) ?? [];
  db.change(listKey(name), [...list, write], undefined);
  return next;
};

const tokenAt = (time: Timestamp): ResumeToken =>
  ResumeToken.stored({ _data: `82${time.toBigInt().toString(16).padStart(16, "0").toUpperCase()}` });

/** A poll may take longer than it was asked to: time costs nothing here, and polls do. */
const PATIENCE = 5;

/** The writes of others to a collection in memory. */
export class MemoryForeignWrites implements ForeignWrites {
  readonly #client: MemoryClient;
  readonly #clock: Clock;
  readonly #name: string;
  /** Everything up to this time has been said. */
  #said: bigint;

  constructor(client: MemoryClient, clock: Clock, name: string, from: WatchStart) {
    this.#client = client;
    this.#clock = clock;
    this.#name = name;
    this.#said = "after" in from ? tokenTime(from.after) : from.at.toBigInt() - 1n;
  }

  async next(waitMs: number): Promise<ForeignBatch> {
    let writes = await this.#fresh();
    if (writes.length === 0) {
      await pauseFor(this.#clock, waitMs * PATIENCE, undefined);
      writes = await this.#fresh();
    }
    const upTo = timeOf(this.#client.db.version);
    this.#said = upTo.toBigInt();
    return { writes, upTo, token: tokenAt(upTo), ended: false };
  }

  /** Nothing may come between this look and what follows it: the list is looked at last. */
  async #fresh(): Promise<readonly ForeignWrite[]> {
    await this.#client.some([]);
    const all = this.#client.db.look(listKey(this.#name), undefined) as readonly ForeignWrite[] | undefined;
    return (all ?? []).filter(({ at }) => at.toBigInt() > this.#said);
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

const later = (a: Timestamp | undefined, b: Timestamp): Timestamp => (a?.greaterThan(b) === true ? a : b);

/** Marks in memory. */
export class MemoryMarks implements MarkBook {
  readonly #client: MemoryClient;

  constructor(client: MemoryClient) {
    this.#client = client;
  }

  async note(route: string, writes: readonly ForeignWrite[]): Promise<void> {
    for (const { documentKey, at, fields } of writes) {
      const identity = identityOf(documentKey);
      await this.#client.update<Mark, void>(`touched ${route}/${identity}`, undefined, (now) => {
        const _id = { route, key: new Binary(Buffer.from(identity, "latin1")) };
        const mark = { _id, documentKey: new Binary(documentKey), ...now, at: later(now?.at, at) };
        if (fields === undefined) return [{ ...mark, whole: later(now?.whole, at) }, undefined];
        const noted = fields.map((name) => [fieldKey(name), later(now?.fields?.[fieldKey(name)], at)]);
        return [{ ...mark, fields: { ...now?.fields, ...Object.fromEntries(noted) } }, undefined];
      });
    }
  }

  async *keys(route: string): AsyncGenerator<Uint8Array> {
    const marks = await this.#client.all<Mark>(`touched ${route}/`);
    for (const { documentKey } of marks.values()) yield documentKey.buffer;
  }

  async read(route: string, identities: readonly string[]): Promise<FoundMarks> {
    const marks = await this.#client.all<Mark>(`touched ${route}/`);
    const settled = await this.#client.all<Timestamp>(`settled ${route}/`);
    return new Map(
      identities.flatMap((identity) => {
        const mark = marks.get(identity);
        return mark === undefined ? [] : [[identity, { mark, settled: settled.get(identity) }] as const];
      }),
    );
  }

  async settle(route: string, identities: readonly string[], at: Timestamp, tx: StateTx | undefined): Promise<void> {
    for (const identity of identities) await this.#client.put(`settled ${route}/${identity}`, at, tx);
  }
}

/** Conflicts in memory. */
export class MemoryConflicts implements ConflictBook {
  readonly #client: MemoryClient;

  constructor(client: MemoryClient) {
    this.#client = client;
  }

  async add(records: readonly ConflictRecord[], tx: StateTx | undefined): Promise<void> {
    for (const record of records) await this.#client.put(`conflicts ${record._id}`, record, tx);
  }

  /** By id, all that there are. */
  all(): Promise<ReadonlyMap<string, ConflictRecord>> {
    return this.#client.all<ConflictRecord>("conflicts ");
  }
}
