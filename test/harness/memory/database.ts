import { Binary, Timestamp } from "bson";
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
  /** What is later it does not see, and may not write over. */
  readonly version: number;
  readonly until: number;
  isOpen = true;

  constructor(version: number, until: number) {
    this.version = version;
    this.until = until;
  }
}

const memoryTx = (tx: StateTx | undefined): MemoryTx | undefined => tx as unknown as MemoryTx | undefined;

/** Versions as the clusterTimes of a server. */
export const timeOf = (version: number): Timestamp => new Timestamp(BigInt(version));
export const versionOf = (time: Timestamp): number => Number(time.toBigInt());

/** Values by key, with transactions as a replica set has them: what two of them write at the same time, one of them may not. */
export class MemoryDatabase {
  /** By what stands before the first blank of a key: one collection. Versions of a value in their order. */
  readonly #collections = new Map<string, Map<string, Written[]>>();
  readonly #open = new Set<MemoryTx>();
  readonly #sessions = new Map<number, MemorySession>();
  /** The time, ms. */
  readonly now: () => number;
  #version = 0;
  #sessionCount = 0;

  constructor(now: () => number = Date.now) {
    this.now = now;
  }

  /** Raised by each commit. */
  get version(): number {
    return this.#version;
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

  #collection(key: string): Map<string, Written[]> {
    const name = key.slice(0, key.indexOf(" "));
    const known = this.#collections.get(name);
    if (known !== undefined) return known;
    const fresh = new Map<string, Written[]>();
    this.#collections.set(name, fresh);
    return fresh;
  }

  /** Keys with this beginning, and their values, as they are committed. */
  all<T>(prefix: string): ReadonlyMap<string, T> {
    const found = new Map<string, T>();
    for (const [key, versions] of this.#collection(prefix)) {
      const value = versions.at(-1)?.value;
      if (value !== undefined && key.startsWith(prefix)) found.set(key.slice(prefix.length), value as T);
    }
    return found;
  }

  /** As it was committed at a version. */
  at(key: string, version: number): unknown {
    return this.#collection(key)
      .get(key)
      ?.findLast((one) => one.version <= version)?.value;
  }

  /** As a transaction sees it; `undefined` sees what is committed. */
  look(key: string, tx: MemoryTx | undefined): unknown {
    return tx?.changes.has(key) === true ? tx.changes.get(key) : this.at(key, tx?.version ?? this.#version);
  }

  /** @param version as of which it reads */
  begin(version = this.#version): MemoryTx {
    const tx = new MemoryTx(version, this.now() + LIFETIME_MS);
    this.#open.add(tx);
    return tx;
  }

  /** @throws a write conflict where another has written the key since the transaction began, or is about to */
  change(key: string, value: unknown, tx: MemoryTx | undefined): void {
    for (const other of this.#open) {
      if (other.until < this.now()) this.abort(other);
      else if (other !== tx && other.changes.has(key)) throw this.#conflict(key);
    }
    if (tx === undefined) this.#write(key, { value, version: ++this.#version });
    else if ((this.#collection(key).get(key)?.at(-1)?.version ?? 0) > tx.version) throw this.#conflict(key);
    else tx.changes.set(key, value);
  }

  #conflict(key: string): FerryError {
    return passing(ServerCode.WriteConflict, `${key} is being written by another`);
  }

  #write(key: string, written: Written): void {
    const collection = this.#collection(key);
    const versions = collection.get(key);
    if (versions === undefined) collection.set(key, [written]);
    else versions.push(written);
  }

  commit(tx: MemoryTx): void {
    const version = ++this.#version;
    for (const [key, value] of tx.changes) this.#write(key, { value, version });
    this.abort(tx);
  }

  abort(tx: MemoryTx): void {
    tx.isOpen = false;
    this.#open.delete(tx);
  }
}

/** One process's connection to the database. */
export class MemoryClient {
  readonly db: MemoryDatabase;
  readonly #gate: Gate;

  constructor(db: MemoryDatabase, gate: Gate = async () => undefined) {
    this.db = db;
    this.#gate = gate;
  }

  async #step(step: string, tx: MemoryTx | undefined): Promise<void> {
    await this.#gate(step);
    if (tx?.isOpen === false) throw passing(ServerCode.NoSuchTransaction, "the transaction was ended");
  }

  async get<T>(key: string, tx?: StateTx): Promise<T | undefined> {
    await this.#step(`read ${key}`, memoryTx(tx));
    return this.db.look(key, memoryTx(tx)) as T | undefined;
  }

  /** Some values as they were committed at one moment: at `at`, or now. */
  async some<T>(keys: readonly string[], at?: Timestamp): Promise<readonly T[]> {
    await this.#step("read", undefined);
    const version = at === undefined ? this.db.version : versionOf(at);
    return keys.flatMap((key) => (this.db.at(key, version) as T | undefined) ?? []);
  }

  /** Committed values whose keys begin so, by the rest of their keys. */
  async all<T>(prefix: string): Promise<ReadonlyMap<string, T>> {
    await this.#step(`list ${prefix}`, undefined);
    return this.db.all<T>(prefix);
  }

  /** Looks and writes in one step: `change` gets the value that is there and gives the one that is to be there. */
  async update<T, R>(
    key: string,
    tx: StateTx | undefined,
    change: (now: T | undefined) => readonly [value: T | undefined, answer: R],
  ): Promise<R> {
    await this.#step(`write ${key}`, memoryTx(tx));
    const now = this.db.look(key, memoryTx(tx)) as T | undefined;
    const [value, answer] = change(now);
    if (value !== now) this.db.change(key, value, memoryTx(tx));
    return answer;
  }

  /** Several in one step, as one command of a server does it. */
  async updateEach<T>(
    keys: readonly string[],
    tx: StateTx | undefined,
    change: (now: T | undefined, key: string) => T | undefined,
  ): Promise<void> {
    await this.#step(`write ${keys.length}`, memoryTx(tx));
    for (const key of keys) {
      const now = this.db.look(key, memoryTx(tx)) as T | undefined;
      this.db.change(key, change(now, key), memoryTx(tx));
    }
  }

  put<T>(key: string, value: T | undefined, tx?: StateTx): Promise<void> {
    return this.update<T, void>(key, tx, () => [value, undefined]);
  }

  session(): MemorySession {
    return new MemorySession(this.db, this.#gate);
  }

  /** As `killSessions`: what is open in them is given up. */
  async endSessions(ids: readonly Binary[]): Promise<void> {
    await this.#gate("ending sessions");
    for (const id of ids) this.db.sessionOf(id)?.kill();
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

  async transaction(what: string, work: (tx: StateTx) => Promise<boolean>, at?: Timestamp): Promise<void> {
    const tx = this.#db.begin(at && versionOf(at));
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
