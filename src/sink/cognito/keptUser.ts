import { BSON } from "bson";
import { rawId } from "#base/bson/rawValue.ts";
import type { PoolRules } from "./poolRules.ts";
import type { UserMapping, WantedUser } from "./userMapping.ts";
import type { NamedUser } from "./userPool.ts";

/** What of a user is compared. An attribute that is set once, with the creation, need not follow its document. */
export const lasting = (user: WantedUser, { attributes: rules }: Pick<PoolRules, "attributes">): WantedUser => ({
  ...user,
  attributes: new Map([...user.attributes].filter(([name]) => rules.get(name)?.isMutable !== false)),
});

/** A user of the pool as a document would want it. @param names of the attributes that are the route's @param groups that are the route's */
export const asWanted = (
  { username, enabled, attributes }: NamedUser,
  names: ReadonlySet<string>,
  groups: readonly string[] = [],
): WantedUser => ({
  username,
  enabled,
  groups,
  attributes: new Map([...attributes].filter(([name, value]) => names.has(name) && value !== "")),
});

/**
 * A user as a raw document: `_id`, `username`, `enabled`, `groups` where there are some, and the attributes under their own names, as
 * text.
 * @param of raw, with the document's `_id`
 */
export const keptUser = (of: Uint8Array, { username, enabled, groups, attributes }: WantedUser): Uint8Array => {
  const grouped = groups.length === 0 ? {} : { groups: [...groups] };
  return BSON.serialize({
    _id: rawId(of),
    username,
    enabled,
    ...grouped,
    ...Object.fromEntries([...attributes].sort()),
  });
};

/** What a pool keeps of a document. The result throws FERRY_COGNITO_REJECTED for one that cannot be a user. */
export const keepsUsers =
  (mapping: UserMapping, rules: PoolRules) =>
  (document: Uint8Array): Uint8Array =>
    keptUser(document, lasting(mapping.user(document, rules), rules));
