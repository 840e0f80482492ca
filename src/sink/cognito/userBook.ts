import { Binary, ObjectId } from "bson";
import { identityOf } from "#base/bson/identity.ts";
import type { Clock } from "#base/flow/clock.ts";
import type { Collection } from "#io/mongo/connect.ts";
import { translated } from "#io/mongo/errors.ts";
import { hasServerCode, ServerCode } from "#io/mongo/serverCodes.ts";
import type { StateDb } from "#io/state/stateDb.ts";

/**
 * Which user a document is, in `ferry.cognitoUsers`, and what the pool was last given of it. `_id.key`: the document's identity.
 */
export type UserRecord = {
  _id: { route: string; key: Binary };
  /** Raw documentKey. */
  documentKey: Binary;
  pool: string;
  /**
   * Every username that the document has or had in the pool. No other document may have one of them: it would get the account, and
   * its `sub`, of another user.
   */
  usernames: string[];
  /** The one that it has, and Cognito's own id of it. Absent until the first call has come through. */
  username?: string;
  sub?: string;
  /** Attributes that the user may have from ferry. */
  names: string[];
  /** Groups that the user may be in from ferry. */
  groups?: string[];
  enabled?: boolean;
  /** Does the user have a password, from ferry or its own? Asked only where the route maps one. */
  hasPassword?: boolean;
  /**
   * Of what the pool was given. Absent while a change is under way, was cut off, or the pool was seen to have something else: then the
   * next one is made whatever it is.
   */
  hash?: string;
  /** As a survey of the pool found the user under this name. */
  seen?: { survey: ObjectId; groups?: string[] } & SeenState;
  /** The change that is under way, or was the last. */
  change: ObjectId;
  changedAt: Date;
  /** Usernames that were given up. Their accounts are disabled. */
  former?: { username: string; sub: string | null; at: Date }[];
};

/** In place of the hash: the document is gone, and its user disabled. */
export const GONE = "gone";

/** What a listing says of a user. `hash`: of what is compared, but for groups. */
export type SeenState = { enabled: boolean; hash: string };

/** One user of a listing. */
export type SeenUser = SeenState & Readonly<{ username: string }>;

/** What a change has made of the user. */
export type SettledUser = Required<
  Pick<UserRecord, "username" | "sub" | "names" | "groups" | "enabled" | "hasPassword" | "hash" | "former">
>;

/** Before anything of a user is changed. */
export type Intent = Readonly<{
  /** Raw documentKey. */
  key: Uint8Array;
  /** Undefined where the user is to go. */
  username: string | undefined;
  names: readonly string[];
  groups: readonly string[];
}>;

const AT_ONCE = 1000;

/**
 * The book of one route's users. A change is written down before the first call and settled after the last one, so that a hash that
 * is there is what the pool has. Every method throws FERRY_MONGO_*.
 */
export class UserBook {
  readonly #users: Collection<UserRecord>;
  readonly #route: string;
  readonly #pool: string;
  readonly #clock: Clock;

  constructor(state: StateDb, { route, pool }: Readonly<{ route: string; pool: string }>, clock: Clock) {
    this.#users = state.collection("cognitoUsers");
    this.#route = route;
    this.#pool = pool;
    this.#clock = clock;
  }

  #idOf(key: Uint8Array): UserRecord["_id"] {
    return { route: this.#route, key: new Binary(Buffer.from(identityOf(key), "latin1")) };
  }

  /** What is known of these documents, by identity. @param keys raw documentKeys */
  async read(keys: readonly Uint8Array[]): Promise<ReadonlyMap<string, UserRecord>> {
    const known = new Map<string, UserRecord>();
    for (let from = 0; from < keys.length; from += AT_ONCE) {
      const ids = keys.slice(from, from + AT_ONCE).map((key) => this.#idOf(key));
      const found = await translated("reading the pool's users", () =>
        this.#users.find({ _id: { $in: ids } }).toArray(),
      );
      for (const record of found) known.set(Buffer.from(record._id.key.buffer).toString("latin1"), record);
    }
    return known;
  }

  /** @returns the change to settle; undefined where the username is another document's */
  async begin({ key, username, names, groups }: Intent): Promise<ObjectId | undefined> {
    const change = new ObjectId();
    const update = {
      $set: { documentKey: new Binary(key), pool: this.#pool, change, changedAt: new Date(this.#clock.now()) },
      $unset: { hash: true as const },
      $pull: { former: { username } }, // it may be enabled from now on
      $addToSet: {
        names: { $each: [...names] },
        groups: { $each: [...groups] },
        usernames: { $each: username === undefined ? [] : [username] },
      },
    };
    try {
      await translated("noting a change of a user", () =>
        this.#users.updateOne({ _id: this.#idOf(key) }, update, { upsert: true }),
      );
      return change;
    } catch (error) {
      if (username !== undefined && hasServerCode(error, ServerCode.DuplicateKey)) return undefined;
      throw error;
    }
  }

  /** No-op where another change has begun meanwhile. */
  async settle(key: Uint8Array, change: ObjectId, settled: SettledUser): Promise<void> {
    const { username, former } = settled;
    const usernames = [username, ...former.map((one) => one.username)];
    await translated("noting what became of a user", () =>
      this.#users.updateOne({ _id: this.#idOf(key), change }, { $set: { ...settled, usernames } }),
    );
  }

  /** The user is gone from the pool. No-op where another change has begun meanwhile. */
  async forget(key: Uint8Array, change: ObjectId): Promise<void> {
    await translated("forgetting a user", () => this.#users.deleteOne({ _id: this.#idOf(key), change }));
  }

  /** The pool has something else than what it was given. No-op where another change has begun meanwhile. */
  async doubt(key: Uint8Array, change: ObjectId): Promise<void> {
    await translated("noting that a user is another", () =>
      this.#users.updateOne({ _id: this.#idOf(key), change }, { $unset: { hash: true } }),
    );
  }

  /** Notes users of a survey, those that are the route's. */
  async see(survey: ObjectId, users: readonly SeenUser[]): Promise<void> {
    if (users.length === 0) return;
    const updates = users.map(({ username, ...state }) => ({
      updateOne: {
        filter: { pool: this.#pool, usernames: username, username, "_id.route": this.#route },
        update: { $set: { seen: { survey, ...state } } },
      },
    }));
    await translated("noting the pool's users", () => this.#users.bulkWrite(updates, { ordered: false }));
  }

  /** Notes that a survey has found these users in a group; groups that ferry has not given them are left out. */
  async seeIn(survey: ObjectId, group: string, usernames: readonly string[]): Promise<void> {
    if (usernames.length === 0) return;
    const route = { "_id.route": this.#route, "seen.survey": survey, groups: group };
    const updates = usernames.map((username) => ({
      updateOne: {
        filter: { pool: this.#pool, usernames: username, username, ...route },
        update: { $addToSet: { "seen.groups": group } },
      },
    }));
    await translated("noting the pool's groups", () => this.#users.bulkWrite(updates, { ordered: false }));
  }

  /** Raw documentKeys of those that a survey has seen, but for disabled users of documents that are gone. */
  async *seen(survey: ObjectId, batch: number): AsyncGenerator<readonly Uint8Array[]> {
    const filter = {
      ...{ "_id.route": this.#route, "seen.survey": survey },
      $or: [{ hash: { $ne: GONE } }, { "seen.enabled": true }],
    };
    const found = this.#users.find(filter, { projection: { documentKey: 1 }, batchSize: batch });
    for (;;) {
      if (!(await translated("reading the pool's users", () => found.hasNext()))) return;
      yield found.readBufferedDocuments(batch).map(({ documentKey }) => documentKey.buffer);
    }
  }

  /** Raw documentKey of the document that has the username; undefined where none has it. */
  async holder(username: string): Promise<Uint8Array | undefined> {
    const found = await translated("looking for a username's document", () =>
      this.#users.findOne({ pool: this.#pool, usernames: username }, { projection: { documentKey: 1 } }),
    );
    return found?.documentKey.buffer;
  }
}

/** The same, wherever it is kept. */
export type BookOfUsers = Pick<UserBook, keyof UserBook>;
