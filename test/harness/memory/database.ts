import { Binary } from "bson";
import type { OwnerSession } from "#apply/lanes/claimRecords.ts";
import { FerryError } from "#base/errors/ferryError.ts";
import type { StateTx } from "#base/flow/stateTx.ts";
import { ServerCode } from "#io/mongo/serverCodes.ts";

/**
 * Called before each step of a client, and after each commit: may wait, throw what passes by itself, or never come back, as
 * with a process that was killed. The step is said for people only.
 */
export type Gate = (step: string) => Promise<void>;

/** What passes by itself, with a server's code. */
export const passing = (code: ServerCode, sentence: string): FerryError =>
  new FerryError("FERRY_MONGO_TRANSIENT", sentence, { facts: { serverCode: code } });

export const networkError = (): FerryError => passing(ServerCode.HostUnreachable, "the connection was closed");

type Written = Readonly<{ value: unknown; version: number }>;

/** As the server's transactionLifetimeLimitSeconds, ms: a transaction that is never ended blocks others for no longer. */
const LIFETIME_MS = 60_000;

class MemoryTx {
  readonly changes = new Map<string, unknown>();
  /** Of the database when it began. */
  readonly version: number;
  readonly until: number;
  isOpen = true;

  constructor(version: number, until: number) {
    this.version = version;
    this.until = until;
  }
}

const memoryTx = (tx: StateTx | undefined): MemoryTx | undefined => tx as unknown as MemoryTx | undefined;

/** Values by key, with transactions as a replica set has them: what two of them write at the same time, one of them may not. */
export class MemoryDatabase {
  readonly #values = new Map<string, Written>();
  readonly #open = new Set<MemoryTx>();
  readonly #sessions = new Map<number, MemorySession>();
  /** The time, ms. */
  readonly now: () => number;
  #version = 0;
  #sessionCount = 0;

  constructor(now: () => number = Date.now) {
    this.now = now;
  }

  /** @returns the id under which anyone may end it */
  register(session: MemorySession): Binary {
    const bytes = Buffer.alloc(16);
    bytes.writeUInt32LE(++this.#sessionCount);
    this.#sessions.set(this.#sessionCount, session);
    return new Binary(bytes);
  }

  sessionOf(id: Binary): MemorySession | undefined {
    return this.#sessions.get(Buffer.from(id.buffer).readUInt32LE());
  }

  /** Keys with this beginning, and their values, as they are committed. */
  all<T>(prefix: string): ReadonlyMap<string, T> {
    const found = [...this.#values].filter(([key, { value }]) => key.startsWith(prefix) && value !== undefined);
    return new Map(found.map(([key, { value }]) => [key.slice(prefix.length), value as T]));
  }

  /** As a transaction sees it; `undefined` sees what is committed. */
  look(key: string, tx: MemoryTx | undefined): unknown {
    return tx?.changes.has(key) === true ? tx.changes.get(key) : this.#values.get(key)?.value;
  }

  begin(): MemoryTx {
    const tx = new MemoryTx(this.#version, this.now() + LIFETIME_MS);
    this.#open.add(tx);
    return tx;
  }

  /** @throws a write conflict where another has written the key since the transaction began, or is about to */
  change(key: string, value: unknown, tx: MemoryTx | undefined): void {
    for (const other of this.#open) if (other.until < this.now()) this.abort(other);
    const isTaken = [...this.#open].some((other) => other !== tx && other.changes.has(key));
    if (isTaken || (tx !== undefined && (this.#values.get(key)?.version ?? 0) > tx.version))
      throw passing(ServerCode.WriteConflict, `${key} is being written by another`);
    if (tx === undefined) this.#values.set(key, { value, version: ++this.#version });
    else tx.changes.set(key, value);
  }

  commit(tx: MemoryTx): void {
    const version = ++this.#version;
    for (const [key, value] of tx.changes) this.#values.set(key, { value, version });
    this.abort(tx);
  }

  abort(tx: MemoryTx): void {
    tx.isOpen = false;
    this.#open.delete(tx);
  }
}

/** One process's connection to the database. */
export class MemoryClient {
  readonly #db: MemoryDatabase;
  readonly #gate: Gate;

  constructor(db: MemoryDatabase, gate: Gate = async () => undefined) {
    this.#db = db;
    this.#gate = gate;
  }

  async #step(step: string, tx: MemoryTx | undefined): Promise<void> {
    await this.#gate(step);
    if (tx?.isOpen === false) throw passing(ServerCode.NoSuchTransaction, "the transaction was ended");
  }

  async get<T>(key: string, tx?: StateTx): Promise<T | undefined> {
    await this.#step(`read ${key}`, memoryTx(tx));
    return this.#db.look(key, memoryTx(tx)) as T | undefined;
  }

  /** Committed values whose keys begin so, by the rest of their keys. */
  async all<T>(prefix: string): Promise<ReadonlyMap<string, T>> {
    await this.#step(`list ${prefix}`, undefined);
    return this.#db.all<T>(prefix);
  }

  /** Looks and writes in one step: `change` gets the value that is there and gives the one that is to be there. */
  async update<T, R>(
    key: string,
    tx: StateTx | undefined,
    change: (now: T | undefined) => readonly [value: T | undefined, answer: R],
  ): Promise<R> {
    await this.#step(`write ${key}`, memoryTx(tx));
    const now = this.#db.look(key, memoryTx(tx)) as T | undefined;
    const [value, answer] = change(now);
    if (value !== now) this.#db.change(key, value, memoryTx(tx));
    return answer;
  }

  put<T>(key: string, value: T | undefined, tx?: StateTx): Promise<void> {
    return this.update<T, void>(key, tx, () => [value, undefined]);
  }

  session(): MemorySession {
    return new MemorySession(this.#db, this.#gate);
  }

  /** As `killSessions`: what is open in them is given up. */
  async endSessions(ids: readonly Binary[]): Promise<void> {
    await this.#gate("ending sessions");
    for (const id of ids) this.#db.sessionOf(id)?.kill();
  }

  /** The database's clock, ms. */
  now(): number {
    return this.#db.now();
  }
}

export class MemorySession implements OwnerSession {
  readonly id: Binary;
  readonly #db: MemoryDatabase;
  readonly #gate: Gate;
  #tx: MemoryTx | undefined;

  constructor(db: MemoryDatabase, gate: Gate) {
    this.#db = db;
    this.#gate = gate;
    this.id = db.register(this);
  }

  async transaction(what: string, work: (tx: StateTx) => Promise<boolean>): Promise<void> {
    const tx = this.#db.begin();
    this.#tx = tx;
    try {
      if (!(await work(tx as unknown as StateTx))) return;
      await this.#gate(what);
      if (!tx.isOpen) throw passing(ServerCode.NoSuchTransaction, "the transaction was ended");
      this.#db.commit(tx);
      await this.#gate(`${what}: answer`);
    } finally {
      this.#db.abort(tx);
    }
  }

  /** From anywhere: what is open is given up. */
  kill(): void {
    if (this.#tx !== undefined) this.#db.abort(this.#tx);
  }

  async end(): Promise<void> {
    this.kill();
  }
}
