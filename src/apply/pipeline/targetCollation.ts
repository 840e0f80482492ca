import { type Entry, keyOf } from "#apply/plan/entry.ts";
import { hashIdentity, identityOf } from "#base/bson/identity.ts";
import { type RawValue, rawId } from "#base/bson/rawValue.ts";
import { bearsText } from "#base/bson/spelling.ts";
import { isFerry } from "#base/errors/ferryError.ts";
import type { Namespace } from "#base/flow/types.ts";
import { classesOf, collationOf } from "#io/mongo/collation.ts";
import type { Document, MongoClient } from "#io/mongo/connect.ts";
import type { ProvenSource } from "#source/stream/deployment.ts";

export type TargetCollationDeps = Readonly<{
  target: MongoClient;
  /** Namespace on the target; undefined where that is no collection, and has no collation. */
  to: Namespace | undefined;
  source: ProvenSource | undefined;
  from: Namespace;
}>;

/** Under which identity a key goes. */
export type Identify = (key: Uint8Array) => string;

/** What the target holds to be one document, as a lane asks for it. */
export type KeyRule = Pick<TargetCollation, "identities" | "isSources">;

/** `version` says which ICU made the keys, and nothing of what is one. */
const rule = (collation: Document | undefined): string => JSON.stringify({ ...collation, version: undefined });

/**
 * What a route's target holds to be one document: `_id`s of one identity, and under a collation texts that only the server
 * can tell to be one. Looked at when a partition is opened and after each change of the collection, when all lanes stand.
 */
export class TargetCollation {
  readonly #deps: TargetCollationDeps;
  #collation: Document | undefined;

  private constructor(deps: TargetCollationDeps) {
    this.#deps = deps;
  }

  /** @throws FERRY_MONGO_* */
  static async open(deps: TargetCollationDeps): Promise<TargetCollation> {
    const collation = new TargetCollation(deps);
    await collation.look();
    return collation;
  }

  /** Looks again. @throws FERRY_MONGO_* */
  async look(): Promise<void> {
    const { target, to } = this.#deps;
    this.#collation = to && (await collationOf(target, to));
  }

  /** May another text than this one be the same `_id`? @param keyed a documentKey or a document */
  readonly isOpen = (keyed: Uint8Array): boolean => this.#collation !== undefined && bearsText(keyed);

  /** Which of so many lanes a document belongs to: all texts that may be one to the same. @param keyed a documentKey or a document */
  readonly lane = (keyed: Uint8Array, lanes: number): number =>
    lanes === 1 || this.isOpen(keyed) ? 0 : hashIdentity(keyed) % lanes;

  /**
   * Does the source hold the same texts to be one as the target? Then one that takes another's place has followed it there.
   * @throws FERRY_MONGO_*
   */
  async isSources(): Promise<boolean> {
    const { source, from, target, to } = this.#deps;
    if (source === undefined || to === undefined) return false;
    const [here, there] = [await collationOf(await source(), from), await collationOf(target, to)];
    return there !== undefined && rule(here) === rule(there);
  }

  /**
   * Under which identity each key goes among these: one for all that the target holds to be one. Asks the server where a
   * collation may join some.
   * @param known keys by the identity that they go under already
   * @throws FERRY_MONGO_*
   */
  async identities(known: ReadonlyMap<string, Uint8Array>, entries: readonly Entry[]): Promise<Identify> {
    const [collation, { to }] = [this.#collation, this.#deps];
    if (collation === undefined || to === undefined) return identityOf;
    const own = entries.flatMap((entry) => keyOf(entry) ?? []).map((key) => [identityOf(key), key] as const);
    const texts = [...known, ...new Map(own)].filter(([, key]) => bearsText(key));
    if (texts.length < 2) return identityOf;
    const classes = await this.#classes(
      to,
      collation,
      texts.map(([, key]) => rawId(key)),
    );
    const first = new Map<number, string>();
    const joined = new Map<string, string>();
    for (const [at, [identity, key]] of texts.entries()) {
      const one = classes[at] ?? -1;
      if (!first.has(one)) first.set(one, identity);
      joined.set(identityOf(key), first.get(one) ?? identity);
    }
    return (key) => joined.get(identityOf(key)) ?? identityOf(key);
  }

  /** A server that cannot tell (before 5.1) leaves all of them to be one: then too many wait, and nothing overtakes. */
  async #classes({ db }: Namespace, collation: Document, values: readonly RawValue[]): Promise<readonly number[]> {
    try {
      return await classesOf(this.#deps.target, db, collation, values);
    } catch (error) {
      if (!isFerry(error) || error.entry.retry !== "never") throw error;
      return values.map(() => 0);
    }
  }
}
