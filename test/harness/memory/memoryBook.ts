import { Binary, ObjectId } from "bson";
import { identityOf } from "#base/bson/identity.ts";
import {
  type BookOfUsers,
  GONE,
  type Intent,
  type SeenUser,
  type SettledUser,
  type UserRecord,
} from "#sink/cognito/userBook.ts";

/** A route's book of users in memory. */
export class MemoryBook implements BookOfUsers {
  readonly #records = new Map<string, UserRecord>();

  async read(keys: readonly Uint8Array[]): Promise<ReadonlyMap<string, UserRecord>> {
    return new Map(
      keys.map(identityOf).flatMap((identity) => {
        const record = this.#records.get(identity);
        return record === undefined ? [] : [[identity, copyOf(record)]];
      }),
    );
  }

  async begin({ key, username, names, groups }: Intent): Promise<ObjectId | undefined> {
    const identity = identityOf(key);
    const holder = username === undefined ? undefined : await this.holder(username);
    if (holder !== undefined && identityOf(holder) !== identity) return undefined;
    const { hash: _, ...known } = this.#records.get(identity) ?? {
      _id: { route: "memory", key: new Binary(Buffer.from(identity, "latin1")) },
      documentKey: new Binary(key),
      pool: "memory_pool",
      usernames: [],
      names: [],
      groups: [],
      former: [],
    };
    const change = new ObjectId();
    this.#records.set(identity, {
      ...known,
      usernames: [...new Set([...known.usernames, ...(username === undefined ? [] : [username])])],
      names: [...new Set([...known.names, ...names])],
      groups: [...new Set([...(known.groups ?? []), ...groups])],
      former: (known.former ?? []).filter((one) => one.username !== username),
      change,
      changedAt: new Date(0),
    });
    return change;
  }

  async settle(key: Uint8Array, change: ObjectId, settled: SettledUser): Promise<void> {
    const known = this.#records.get(identityOf(key));
    if (known?.change !== change) return;
    const usernames = [settled.username, ...settled.former.map(({ username }) => username)];
    this.#records.set(identityOf(key), { ...known, ...settled, usernames });
  }

  async forget(key: Uint8Array, change: ObjectId): Promise<void> {
    if (this.#records.get(identityOf(key))?.change === change) this.#records.delete(identityOf(key));
  }

  async doubt(key: Uint8Array, change: ObjectId): Promise<void> {
    const record = this.#records.get(identityOf(key));
    if (record?.change !== change) return;
    const { hash: _, ...known } = record;
    this.#records.set(identityOf(key), known);
  }

  async see(survey: ObjectId, users: readonly SeenUser[]): Promise<void> {
    for (const { username, ...state } of users)
      for (const [identity, record] of this.#records)
        if (record.username === username) this.#records.set(identity, { ...record, seen: { survey, ...state } });
  }

  async seeIn(survey: ObjectId, group: string, usernames: readonly string[]): Promise<void> {
    for (const [identity, record] of this.#records) {
      const { username = "", groups = [], seen } = record;
      if (seen?.survey !== survey || !usernames.includes(username) || !groups.includes(group)) continue;
      this.#records.set(identity, { ...record, seen: { ...seen, groups: [...(seen.groups ?? []), group] } });
    }
  }

  async *seen(survey: ObjectId): AsyncGenerator<readonly Uint8Array[]> {
    yield [...this.#records.values()]
      .filter(({ seen, hash }) => seen?.survey === survey && (hash !== GONE || seen.enabled))
      .map(({ documentKey }) => documentKey.buffer);
  }

  async holder(username: string): Promise<Uint8Array | undefined> {
    return [...this.#records.values()].find(({ usernames }) => usernames.includes(username))?.documentKey.buffer;
  }
}

const copyOf = (record: UserRecord): UserRecord => ({
  ...record,
  usernames: [...record.usernames],
  names: [...record.names],
});
