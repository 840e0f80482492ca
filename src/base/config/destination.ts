import type { Static } from "typebox";
import { assert } from "#base/errors/ferryError.ts";
import { type Namespace, parseNamespace } from "#base/flow/types.ts";
import type { CognitoPlace } from "./cognitoDestination.ts";
import type { DESTINATION, KINDS } from "./configFile.ts";

/** Where a route's documents go. */
export type Destination = Static<typeof KINDS>;

/** A collection of the MongoDB target. */
export type MongoDestination = Extract<Destination, { mongodb: string }>;

/** Without an own target, a route goes to the namespace of its source. */
export const destinationOf = (given: Static<typeof DESTINATION> | undefined, from: string): Destination =>
  typeof given === "object" ? given : { mongodb: given ?? from };

export const isMongo = <R extends Readonly<{ to: Destination }>>(route: R): route is R & { to: MongoDestination } =>
  "mongodb" in route.to;

/** A destination as records and messages call it: a collection by its namespace. Two places have two texts. */
export const destinationText = (to: Destination): string =>
  "mongodb" in to ? to.mongodb : `cognito:${to.cognito.userPoolId}`;

/** Where a document has its user's password; undefined where users get none. */
export const passwordPath = ({ password }: Pick<CognitoPlace, "password">): string | undefined =>
  password === "none" ? undefined : password;

/** The rules that a destination adds to its route's own: none for a collection, which takes documents as they are. */
export const destinationRules = (to: Destination): readonly unknown[] => {
  if ("mongodb" in to) return [];
  const { username, attributes, enabled, groups } = to.cognito;
  const rules = [username, attributes, enabled, groups, passwordPath(to.cognito)];
  return rules.slice(0, Math.max(3, rules.findLastIndex((rule) => rule !== undefined) + 1)); // as records of before these had them
};

/** The collection that a route goes to; callers have kept other destinations out. @throws FERRY_BUG */
export const targetNamespace = ({ to }: Readonly<{ to: Destination }>): Namespace => {
  assert("mongodb" in to, `${destinationText(to)} is no collection`);
  return parseNamespace(to.mongodb);
};
