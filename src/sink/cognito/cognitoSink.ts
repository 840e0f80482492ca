import type { Timestamp } from "bson";
import { identityOf } from "#base/bson/identity.ts";
import type { CognitoPlace } from "#base/config/cognitoDestination.ts";
import { assert, FerryError, isFerry } from "#base/errors/ferryError.ts";
import type { Clock } from "#base/flow/clock.ts";
import { faultPoint } from "#base/flow/fault.ts";
import { inParallel } from "#base/flow/inParallel.ts";
import type { TargetOp } from "#base/flow/types.ts";
import { hasServerCode, ServerCode } from "#io/mongo/serverCodes.ts";
import { documentKeyOf } from "#io/wire/documentKey.ts";
import type { Abilities, Explanation, Form, Refusal, Sink } from "#sink/sink.ts";
import { asWanted, keepsUsers, keptUser, lasting } from "./keptUser.ts";
import { type PoolRules, writtenNames } from "./poolRules.ts";
import { PoolSurvey } from "./poolSurvey.ts";
import { readPool } from "./readPool.ts";
import type { TallyOfRoute } from "./routeTally.ts";
import { type BookOfUsers, GONE, type UserRecord } from "./userBook.ts";
import { UserChange } from "./userChange.ts";
import { UserMapping, type WantedUser, wantedHash } from "./userMapping.ts";
import type { PoolCalls } from "./userPool.ts";

export const COGNITO_ABILITIES: Abilities = {
  transactions: false,
  structure: false,
  foreignWrites: false,
  incarnations: false,
  keys: false,
  patches: false,
  verbatim: false,
};

export type CognitoSinkDeps = Readonly<{
  place: CognitoPlace;
  pool: PoolCalls;
  book: BookOfUsers;
  clock: Clock;
  tally: TallyOfRoute;
}>;

/** Users that are changed at the same time: enough to use a quota that answers slowly. */
const AT_ONCE = 32;
/** At the default quotas this many users take some ten seconds: so long a stop, or a dead letter's replay, waits for a batch. */
const BATCH = 250;

/** What a document says of its user; undefined where the document is gone. `key`: raw documentKey. */
type UserWish = Readonly<{ key: Uint8Array; user: WantedUser | undefined }>;

/** Refused because the username is another document's. */
type Taken = Readonly<{ username: string }>;

const taken = (username: string): FerryError =>
  new FerryError("FERRY_COGNITO_REJECTED", "username is, or was, that of another document's user", {
    cause: { username } satisfies Taken,
    facts: { attribute: "username", serverCode: ServerCode.DuplicateKey },
  });

/**
 * A user pool of Amazon Cognito. A document is one user; what the route's `attributes` do not name stays out. Nothing is written
 * in a transaction: each change is written down before it, made by calls that may be repeated, and settled after it. A document
 * that changes nothing of what Cognito keeps costs no call.
 */
export class CognitoSink implements Sink {
  readonly can = COGNITO_ABILITIES;
  readonly batchCount = BATCH;
  readonly incarnations = undefined;
  readonly #deps: CognitoSinkDeps;
  readonly #mapping: UserMapping;
  /** Names of the attributes that are the route's. */
  readonly #written: ReadonlySet<string>;
  #opened: Promise<Readonly<{ rules: PoolRules; change: UserChange }>> | undefined;

  /** @throws FERRY_CONFIG */
  constructor(deps: CognitoSinkDeps) {
    this.#deps = deps;
    this.#mapping = new UserMapping(deps.place);
    this.#written = new Set(writtenNames(deps.place));
  }

  get name(): string {
    return `pool ${this.#deps.pool.id}`;
  }

  /** The pool is made by its owner: ferry looks whether it can take the route's users. @throws FERRY_COGNITO_* */
  async prepare(): Promise<void> {
    this.#opened = undefined;
    await this.#open();
  }

  #open(): Promise<Readonly<{ rules: PoolRules; change: UserChange }>> {
    this.#opened ??= this.#look().catch((error: unknown) => {
      this.#opened = undefined; // the next one looks again
      throw error;
    });
    return this.#opened;
  }

  async #look(): Promise<Readonly<{ rules: PoolRules; change: UserChange }>> {
    const { pool, place, clock } = this.#deps;
    const rules = await readPool(pool, place);
    const fixed = [...rules.attributes.values()].filter(({ isMutable }) => !isMutable).map(({ name }) => name);
    const change = new UserChange(pool, {
      written: this.#written,
      fixed: new Set(fixed),
      now: () => new Date(clock.now()),
    });
    return { rules, change };
  }

  async look(): Promise<Readonly<{ occupied: boolean; at: Timestamp | undefined }>> {
    return { occupied: await this.#deps.pool.hasUsers(), at: undefined };
  }

  /** Of each document that has a user: the user as `keptUser` shows it. One that is another than was noted is noted as such. */
  async read(keys: readonly Uint8Array[]): Promise<readonly Uint8Array[]> {
    const { rules } = await this.#open();
    const documents: Uint8Array[] = [];
    const known = await this.#deps.book.read(keys);
    await inParallel([...known.values()], AT_ONCE, async (record) => {
      const user = await this.#userOf(record);
      if (user !== undefined) documents.push(keptUser(record.documentKey.buffer, lasting(user, rules)));
    });
    return documents;
  }

  /** Undefined where the document has none, or one that may not sign in since the document is gone. */
  async #userOf(record: UserRecord): Promise<WantedUser | undefined> {
    const { documentKey, username, hash, change } = record;
    const { pool, book } = this.#deps;
    const found = username === undefined ? undefined : await pool.user(username);
    const user =
      username === undefined || found === undefined
        ? undefined
        : asWanted({ username, ...found }, this.#written, await this.#groupsOf(username, record));
    if (hash === GONE && user?.enabled !== true) return undefined;
    if (hash !== undefined && (user === undefined || wantedHash(user) !== hash))
      await book.doubt(documentKey.buffer, change);
    return user;
  }

  /** Those that ferry has put the user into, as far as it is in them. */
  async #groupsOf(username: string, { groups: given = [] }: UserRecord): Promise<readonly string[]> {
    const { pool, place } = this.#deps;
    if (place.groups === undefined || given.length === 0) return [];
    return (await pool.groupsOf(username)).filter((group) => given.includes(group)).sort();
  }

  async form(): Promise<Form> {
    const { pool, book, place } = this.#deps;
    const { rules } = await this.#open();
    const parts = { pool, book, rules, mapping: this.#mapping, written: this.#written };
    return {
      keeps: keepsUsers(this.#mapping, rules),
      keepsGone: place.onDelete === "keep",
      survey: () => PoolSurvey.take(parts),
    };
  }

  // biome-ignore lint/correctness/useYield: `can.keys` is false
  async *keys(): AsyncGenerator<readonly Uint8Array[]> {
    assert(false, `${this.name} does not list its keys`);
  }

  async write(ops: readonly TargetOp[]): Promise<void> {
    const { book, place, tally } = this.#deps;
    const { rules, change } = await this.#open();
    const wishes = this.#wishes(ops, rules); // a document that cannot be a user is refused before the first call
    const known = await book.read([...wishes.values()].map(({ key }) => key));
    const due = [...wishes].filter(([identity, { user }]) => isDue(known.get(identity), user, place));
    await inParallel(due, AT_ONCE, ([identity, wish]) => this.#make(change, known.get(identity), wish));
    await tally.add({ changed: due.length, unchanged: wishes.size - due.length });
  }

  /** The last state of each document, by identity. @throws FERRY_COGNITO_REJECTED */
  #wishes(ops: readonly TargetOp[], rules: PoolRules): ReadonlyMap<string, UserWish> {
    const wishes = new Map<string, UserWish>();
    for (const op of ops) {
      assert(op.op !== "patch", `${this.name} takes whole documents only`);
      const user = op.op === "write" ? this.#mapping.user(op.doc, rules) : undefined;
      wishes.set(identityOf(op.key), { key: documentKeyOf(op.key), user });
    }
    return wishes;
  }

  async #make(change: UserChange, record: UserRecord | undefined, { key, user }: UserWish): Promise<void> {
    const { book, place } = this.#deps;
    const names = user === undefined ? [] : [...user.attributes.keys()];
    const begun = await book.begin({ key, username: user?.username, names, groups: user?.groups ?? [] });
    if (begun === undefined) throw taken(user?.username ?? "");
    faultPoint("user-noted");
    const settled = await change.make(record, user, place.onDelete);
    faultPoint("user-changed");
    await (settled === undefined ? book.forget(key, begun) : book.settle(key, begun, settled));
  }

  refusal(error: unknown): Refusal | undefined {
    return isFerry(error, "FERRY_COGNITO_REJECTED") ? { kind: "rejected" } : undefined;
  }

  async explain(error: unknown): Promise<Explanation> {
    if (!isFerry(error) || !hasServerCode(error, ServerCode.DuplicateKey)) return {};
    const { username } = error.cause as Taken;
    const other = await this.#deps.book.holder(username).catch((lost: unknown) => {
      if (isFerry(lost)) return undefined; // the letter can do without it
      throw lost;
    });
    return { serverCode: ServerCode.DuplicateKey, clash: { index: "username", other } };
  }
}

/** Is there anything to change of a user? */
const isDue = (record: UserRecord | undefined, user: WantedUser | undefined, { onDelete }: CognitoPlace): boolean => {
  if (user !== undefined)
    return record?.hash !== wantedHash(user) || (user.password !== undefined && record.hasPassword !== true);
  return record !== undefined && onDelete !== "keep" && record.hash !== GONE;
};
