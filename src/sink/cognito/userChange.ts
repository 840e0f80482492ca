import type { CognitoPlace } from "#base/config/cognitoDestination.ts";
import { isAnswer } from "./cognitoErrors.ts";
import { GONE, type SettledUser, type UserRecord } from "./userBook.ts";
import { type WantedUser, wantedHash } from "./userMapping.ts";
import type { Attributes, PoolCalls } from "./userPool.ts";

/** What is known of the user under the wanted name. `enabled` is undefined where it is not known. */
type Known = Readonly<{
  sub: string;
  names: readonly string[];
  enabled: boolean | undefined;
  /** That it is in. */
  groups: readonly string[];
  /** Undefined where it is not known. */
  hasPassword: boolean | undefined;
}>;

/** A user that others create and delete at the same time is created and updated in turns; not for ever. */
const MOST_TURNS = 5;

export type ChangeRules = Readonly<{
  /** Attributes that are the route's: others of a user stay as they are. */
  written: ReadonlySet<string>;
  /** Attributes that are set when a user is created, and never again. */
  fixed: ReadonlySet<string>;
  now: () => Date;
}>;

/** The names that the document has in the pool besides this one, and whose accounts are still to be disabled. */
const givenUp = (record: UserRecord | undefined, wanted: string): readonly string[] => {
  const done = new Set(record?.former?.map(({ username }) => username));
  return (record?.usernames ?? []).filter((username) => username !== wanted && !done.has(username));
};

/**
 * Makes the user in the pool what its document says, whatever is there: each call may have been made before, by a process that did
 * not come to note it.
 */
export class UserChange {
  readonly #pool: PoolCalls;
  readonly #rules: ChangeRules;

  constructor(pool: PoolCalls, rules: ChangeRules) {
    this.#pool = pool;
    this.#rules = rules;
  }

  /**
   * @param wanted undefined where the document is gone
   * @returns what to settle; undefined where nothing of the user is left
   * @throws what the pool's calls throw
   */
  async make(
    record: UserRecord | undefined,
    wanted: WantedUser | undefined,
    onDelete: CognitoPlace["onDelete"],
  ): Promise<SettledUser | undefined> {
    if (wanted !== undefined) return this.#put(record, wanted);
    if (record === undefined) return undefined;
    if (onDelete !== "delete") return this.#disable(record);
    for (const name of record.usernames) await this.#pool.delete(name);
    return undefined;
  }

  async #put(record: UserRecord | undefined, wanted: WantedUser): Promise<SettledUser> {
    const { username, attributes, enabled } = wanted;
    const known = await this.#written(await this.#noted(record, username), wanted);
    if (known.enabled !== enabled) await (enabled ? this.#pool.enable(username) : this.#pool.disable(username));
    await this.#regroup(username, wanted.groups, { isIn: known.groups, given: record?.groups ?? [] });
    const hasPassword = await this.#givePassword(known, wanted);
    const former = (record?.former ?? []).filter((one) => one.username !== username);
    for (const name of givenUp(record, username)) {
      await this.#giveUp(name, record); // behind the new one: there is always one that the user can sign in with
      former.push({ username: name, sub: (name === record?.username && record.sub) || null, at: this.#rules.now() });
    }
    const names = [...attributes.keys()];
    const groups = [...wanted.groups];
    return { username, sub: known.sub, names, groups, enabled, hasPassword, hash: wantedHash(wanted), former };
  }

  /** Only to a user who has none, and so once: later ones are the user's own. @returns is there one now? */
  async #givePassword({ hasPassword }: Known, { username, password }: WantedUser): Promise<boolean> {
    if (password === undefined || hasPassword === true) return hasPassword === true;
    const has = hasPassword ?? (await this.#pool.user(username))?.hasPassword;
    if (has === false) await this.#pool.setPassword(username, password);
    return has !== undefined; // else it has gone since
  }

  /** Groups that others gave the user stay. @param known `isIn`: at least these; `given`: by ferry, as far as is known */
  async #regroup(
    username: string,
    wanted: readonly string[],
    { isIn, given }: Readonly<{ isIn: readonly string[]; given: readonly string[] }>,
  ): Promise<void> {
    for (const group of wanted) if (!isIn.includes(group)) await this.#pool.join(username, group);
    for (const group of given) if (!wanted.includes(group)) await this.#pool.leave(username, group);
  }

  /** The user stays, and may not sign in. */
  async #disable(record: UserRecord): Promise<SettledUser> {
    const { usernames, username = usernames.at(-1) ?? "", sub = "", names, groups = [], former = [] } = record;
    const { hasPassword = false } = record;
    const others = givenUp(record, username);
    await this.#pool.disable(username);
    for (const name of others) await this.#giveUp(name, record);
    const at = this.#rules.now();
    const also = others.map((name) => ({ username: name, sub: null, at }));
    return { username, sub, names, groups, enabled: false, hasPassword, hash: GONE, former: [...former, ...also] };
  }

  /** No document has the account any more. */
  async #giveUp(username: string, record: UserRecord | undefined): Promise<void> {
    await this.#pool.disable(username);
    for (const group of record?.groups ?? []) await this.#pool.leave(username, group);
  }

  /** Created or updated, and the other where Cognito says so. */
  async #written(noted: Known | undefined, { username, attributes }: WantedUser): Promise<Known> {
    let known = noted;
    for (let turn = 1; ; turn++) {
      try {
        if (known === undefined) return await this.#created(username, attributes);
        await this.#updated(known, username, attributes);
        return known;
      } catch (error) {
        const isThere = isAnswer(error, "UsernameExistsException");
        if (turn === MOST_TURNS || !(isThere || isAnswer(error, "UserNotFoundException"))) throw error;
        known = isThere ? await this.#found(username) : undefined;
      }
    }
  }

  async #created(username: string, attributes: Attributes): Promise<Known> {
    const sub = await this.#pool.create(username, attributes);
    return { sub, names: [...attributes.keys()], enabled: true, groups: [], hasPassword: false };
  }

  async #updated({ names }: Known, username: string, attributes: Attributes): Promise<void> {
    const { fixed } = this.#rules;
    const changeable = new Map([...attributes].filter(([name]) => !fixed.has(name)));
    const removed = names.filter((name) => !attributes.has(name) && !fixed.has(name));
    if (changeable.size > 0) await this.#pool.setAttributes(username, changeable);
    if (removed.length > 0) await this.#pool.deleteAttributes(username, removed);
  }

  /** What is noted of the user under this name; what the pool has, after a change that was cut off, or where it has something else. */
  async #noted(record: UserRecord | undefined, username: string): Promise<Known | undefined> {
    if (record?.username !== username) return undefined;
    const { sub = "", names, hash, enabled, groups = [] } = record;
    if (hash === undefined) return this.#found(username);
    const hasPassword = record.hasPassword || undefined;
    return { sub, names, enabled, groups: hash === GONE ? [] : groups, hasPassword }; // a change that was cut off may have noted more groups
  }

  /** Undefined where it has gone since. */
  async #found(username: string): Promise<Known | undefined> {
    const user = await this.#pool.user(username);
    const isOurs = (name: string): boolean => this.#rules.written.has(name);
    const names = [...(user?.attributes.keys() ?? [])].filter(isOurs);
    if (user === undefined) return undefined;
    const { sub, enabled, hasPassword } = user;
    return { sub, enabled, names, groups: [], hasPassword }; // joining a group again changes nothing
  }
}
