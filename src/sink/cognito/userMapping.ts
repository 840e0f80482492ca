import { createHash } from "node:crypto";
import { elementsOf, type RawValue, rawDocument, rawField } from "#base/bson/rawValue.ts";
import { BsonType } from "#base/bson/walk.ts";
import type { CognitoPlace } from "#base/config/cognitoDestination.ts";
import { passwordPath } from "#base/config/destination.ts";
import { FerryError } from "#base/errors/ferryError.ts";
import { typeName } from "#route/drift/typeNames.ts";
import { fieldNames } from "#route/filter/fieldPath.ts";
import { attributeFlaw } from "./attributeFlaw.ts";
import { attributeText, isNothing } from "./attributeText.ts";
import { passwordFlaw } from "./passwordFlaw.ts";
import { type AttributeRule, LONGEST_USERNAME, type PoolRules, VERIFIED_BY } from "./poolRules.ts";
import { usernamePieces } from "./usernameTemplate.ts";

/** What a document says its user is to be. */
export type WantedUser = Readonly<{
  username: string;
  /** By name; those without a value are not there. */
  attributes: ReadonlyMap<string, string>;
  enabled: boolean;
  /** Names in order; none where the route maps none. */
  groups: readonly string[];
  /** Never in a hash, a record or a message. */
  password?: string | undefined;
}>;

/** One text for all that Cognito is to keep of a user, but for its password: equal where no call is needed. */
export const wantedHash = ({ username, attributes, enabled, groups }: WantedUser): string =>
  createHash("sha256")
    .update(JSON.stringify([username, [...attributes].sort(), enabled, groups]))
    .digest("hex");

/** Letters, marks, symbols, numbers and punctuation. Source: AdminCreateUser, "Username". */
const USERNAME = /^[\p{L}\p{M}\p{S}\p{N}\p{P}]+$/u;

type Mapped = Pick<CognitoPlace, "username" | "attributes" | "enabled" | "groups" | "password">;

type Names = readonly string[];

const valueAt = (document: Uint8Array, names: Names): RawValue | undefined => {
  let at: RawValue | undefined = rawDocument(document);
  for (const name of names) at = at?.type === BsonType.object ? rawField(at.bytes, name) : undefined;
  return at;
};

/** The sentence names the attribute and never shows its value. */
const refused = (attribute: string, flaw: string): FerryError =>
  new FerryError("FERRY_COGNITO_REJECTED", `${attribute} ${flaw}`, { facts: { attribute } });

/**
 * A route's documents as users. Everything that can be refused without asking Cognito is refused here, so that a document that
 * cannot be a user costs no call.
 */
export class UserMapping {
  readonly #username: ReturnType<typeof usernamePieces>;
  readonly #attributes: readonly (readonly [name: string, path: Names])[];
  readonly #enabled: Names | undefined;
  readonly #groups: Names | undefined;
  readonly #password: Names | undefined;

  /** @throws FERRY_CONFIG for a path that is none */
  constructor(mapped: Mapped) {
    const { username, attributes, enabled, groups } = mapped;
    const password = passwordPath(mapped);
    this.#username = usernamePieces(username);
    this.#attributes = Object.entries(attributes)
      .map(([name, path]) => [name, fieldNames(path, `attributes.${name}`)] as const)
      .sort(([a], [b]) => (a < b ? -1 : 1));
    this.#enabled = enabled === undefined ? undefined : fieldNames(enabled, "enabled");
    this.#groups = groups === undefined ? undefined : fieldNames(groups, "groups");
    this.#password = password === undefined ? undefined : fieldNames(password, "password");
  }

  /** @param document raw, as the route's rules leave it @throws FERRY_COGNITO_REJECTED that names the attribute */
  user(document: Uint8Array, pool: PoolRules): WantedUser {
    const username = this.#usernameOf(document);
    return {
      username: pool.isCaseSensitive ? username : username.toLowerCase(),
      attributes: this.#attributesOf(document, pool),
      enabled: this.#isEnabled(document),
      groups: this.#groupsOf(document, pool),
      password: this.#passwordOf(document, pool),
    };
  }

  #usernameOf(document: Uint8Array): string {
    let username = "";
    for (const piece of this.#username) {
      if (typeof piece === "string") username += piece;
      else username += this.#usernamePart(document, piece);
    }
    if (username.length > LONGEST_USERNAME)
      throw refused("username", `has ${username.length} characters, and may have ${LONGEST_USERNAME}`);
    if (!USERNAME.test(username)) throw refused("username", "has a character that Cognito refuses, such as a space");
    return username;
  }

  #usernamePart(document: Uint8Array, names: Names): string {
    const read = attributeText(valueAt(document, names), "username", "String");
    if ("flaw" in read) throw refused("username", `cannot be made of ${names.join(".")}: ${read.flaw}`);
    if (read.text === undefined) throw refused("username", `cannot be made: the document has no ${names.join(".")}`);
    return read.text;
  }

  #attributesOf(document: Uint8Array, pool: PoolRules): ReadonlyMap<string, string> {
    const attributes = new Map<string, string>();
    for (const [name, path] of this.#attributes) {
      const rule = pool.attributes.get(name);
      if (rule === undefined) throw refused(name, "is no attribute of the pool");
      const text = this.#text(document, path, rule);
      if (text === undefined) continue;
      attributes.set(name, text);
      // The source's services know the address; said in the same call, since a new one counts as unverified otherwise.
      const verifiedBy = VERIFIED_BY.get(name);
      if (verifiedBy !== undefined && !this.#names(verifiedBy)) attributes.set(verifiedBy, "true");
    }
    return attributes;
  }

  #text(document: Uint8Array, path: Names, rule: AttributeRule): string | undefined {
    const read = attributeText(valueAt(document, path), rule.name, rule.type);
    if ("flaw" in read) throw refused(rule.name, `cannot be set: ${read.flaw}`);
    if (read.text === undefined) {
      if (rule.isRequired) throw refused(rule.name, "is required by the pool, and the document has none");
      return undefined;
    }
    const flaw = attributeFlaw(read.text, rule);
    if (flaw !== undefined) throw refused(rule.name, flaw);
    return read.text;
  }

  #names(attribute: string): boolean {
    return this.#attributes.some(([name]) => name === attribute);
  }

  #groupsOf(document: Uint8Array, pool: PoolRules): readonly string[] {
    const value = this.#groups && valueAt(document, this.#groups);
    if (isNothing(value)) return [];
    const names = value.type === BsonType.array ? elementsOf(value) : [value];
    const groups = names.flatMap((name) => {
      const read = attributeText(name, "groups", "String");
      if ("flaw" in read) throw refused("groups", `cannot be set: ${read.flaw}`);
      if (read.text !== undefined && !pool.groups.has(read.text))
        throw refused("groups", "has a name that is no group of the pool");
      return read.text ?? [];
    });
    return [...new Set(groups)].sort();
  }

  #passwordOf(document: Uint8Array, pool: PoolRules): string | undefined {
    if (this.#password === undefined) return undefined;
    const read = attributeText(valueAt(document, this.#password), "password", "String");
    if ("flaw" in read) throw refused("password", `cannot be set: ${read.flaw}`);
    const flaw = read.text === undefined ? undefined : passwordFlaw(read.text, pool.password);
    if (flaw !== undefined) throw refused("password", flaw);
    return read.text;
  }

  /** A document that does not say is a user who may sign in. */
  #isEnabled(document: Uint8Array): boolean {
    const value = this.#enabled && valueAt(document, this.#enabled);
    if (isNothing(value)) return true;
    if (value.type !== BsonType.boolean) throw refused("enabled", `is neither true nor false: ${typeName(value.type)}`);
    return value.bytes[0] === 1;
  }
}
