import { isDeepStrictEqual } from "node:util";
import { ObjectId } from "bson";
import { identityOf } from "#base/bson/identity.ts";
import { isFerry } from "#base/errors/ferryError.ts";
import { documentKeyOf } from "#io/wire/documentKey.ts";
import type { Survey } from "#sink/sink.ts";
import { asWanted, lasting } from "./keptUser.ts";
import type { PoolRules } from "./poolRules.ts";
import type { BookOfUsers, UserRecord } from "./userBook.ts";
import { type UserMapping, wantedHash } from "./userMapping.ts";
import type { PoolCalls } from "./userPool.ts";

export type SurveyDeps = Readonly<{
  pool: PoolCalls;
  book: BookOfUsers;
  mapping: UserMapping;
  rules: PoolRules;
  /** Names of the attributes that are the route's. */
  written: ReadonlySet<string>;
}>;

/**
 * All users of a pool, listed page by page, then the members of its groups where the route has any, and noted in the book of the route: a pool may have more than fit into memory. Users
 * that are not in the book are not the route's.
 */
export class PoolSurvey implements Survey {
  readonly #deps: SurveyDeps;
  readonly #id = new ObjectId();

  private constructor(deps: SurveyDeps) {
    this.#deps = deps;
  }

  /** @throws FERRY_COGNITO_*, FERRY_MONGO_* */
  static async take(deps: SurveyDeps): Promise<PoolSurvey> {
    const { pool, book, written, rules } = deps;
    const survey = new PoolSurvey(deps);
    for await (const page of pool.list())
      await book.see(
        survey.#id,
        page.map((user) => ({
          username: user.username,
          enabled: user.enabled,
          hash: wantedHash(lasting(asWanted(user, written), rules)),
        })),
      );
    for (const group of rules.groups)
      for await (const page of pool.members(group)) await book.seeIn(survey.#id, group, page);
    return survey;
  }

  async unlike(documents: readonly Uint8Array[]): Promise<readonly Uint8Array[]> {
    const keys = documents.map(documentKeyOf);
    const known = await this.#deps.book.read(keys);
    return keys.filter((key, i) => {
      const seen = known.get(identityOf(key))?.seen;
      return seen?.survey.equals(this.#id) !== true || !this.#isLike(seen, documents[i] as Uint8Array);
    });
  }

  keys(batch: number): AsyncIterable<readonly Uint8Array[]> {
    return this.#deps.book.seen(this.#id, batch);
  }

  /** A document that cannot be a user is like none. */
  #isLike({ hash, groups = [] }: NonNullable<UserRecord["seen"]>, document: Uint8Array): boolean {
    const { mapping, rules } = this.#deps;
    try {
      const wanted = lasting(mapping.user(document, rules), rules);
      return hash === wantedHash({ ...wanted, groups: [] }) && isDeepStrictEqual([...groups].sort(), wanted.groups);
    } catch (error) {
      if (isFerry(error, "FERRY_COGNITO_REJECTED")) return false;
      throw error;
    }
  }
}
