import type { PasswordPolicyType, UserPoolType } from "@aws-sdk/client-cognito-identity-provider";
import type { CognitoPlace } from "#base/config/cognitoDestination.ts";
import { FerryError } from "#base/errors/ferryError.ts";

/** What a pool says of one attribute. `least` and `most`: of a text its length, of a number its value. */
export type AttributeRule = Readonly<{
  name: string;
  type: string;
  isRequired: boolean;
  /** False: it is set when the user is created, and never again. */
  isMutable: boolean;
  least: number;
  most: number;
}>;

/** What a pool says of its users. */
export type PoolRules = Readonly<{
  attributes: ReadonlyMap<string, AttributeRule>;
  /** Attributes that are the username, such as `email`; none where usernames are a thing of their own. */
  signInWith: readonly string[];
  /** Are `Ann` and `ann` two users? */
  isCaseSensitive: boolean;
  /** Names of its groups; none where the route has no use for them. */
  groups: ReadonlySet<string>;
  /** What a password must have. */
  password: PasswordPolicyType;
}>;

/** Longest value of any attribute, and longest username. Source: Amazon Cognito, "Quotas". */
export const LONGEST_VALUE = 2048;
export const LONGEST_USERNAME = 128;

/** Contact attributes, and the attribute that says of each that it belongs to the user. */
export const VERIFIED_BY: ReadonlyMap<string, string> = new Map([
  ["email", "email_verified"],
  ["phone_number", "phone_number_verified"],
]);

const limit = (given: string | undefined, otherwise: number): number =>
  given === undefined || given === "" ? otherwise : Number(given);

/** @param pool as DescribeUserPool answers it */
export const poolRulesOf = (pool: UserPoolType, groups: readonly string[] = []): PoolRules => {
  const attributes = (pool.SchemaAttributes ?? []).flatMap((one): [string, AttributeRule][] => {
    if (one.Name === undefined) return [];
    const type = one.AttributeDataType ?? "String";
    const { StringAttributeConstraints: text, NumberAttributeConstraints: number } = one;
    const isNumber = type === "Number";
    return [
      [
        one.Name,
        {
          name: one.Name,
          type,
          isRequired: one.Required === true && one.Name !== "sub",
          isMutable: one.Mutable !== false,
          least: isNumber ? limit(number?.MinValue, Number.NEGATIVE_INFINITY) : limit(text?.MinLength, 0),
          most: isNumber ? limit(number?.MaxValue, Number.POSITIVE_INFINITY) : limit(text?.MaxLength, LONGEST_VALUE),
        },
      ],
    ];
  });
  return {
    attributes: new Map(attributes),
    signInWith: pool.UsernameAttributes ?? [],
    isCaseSensitive: pool.UsernameConfiguration?.CaseSensitive === true,
    groups: new Set(groups),
    password: pool.Policies?.PasswordPolicy ?? {},
  };
};

/** The attributes that a route writes: those it names, and what says that a contact is the user's. */
export const writtenNames = ({ attributes }: Pick<CognitoPlace, "attributes">): readonly string[] => {
  const named = Object.keys(attributes);
  const implied = named.flatMap((name) => VERIFIED_BY.get(name) ?? []);
  return [...new Set([...named, ...implied])];
};

/** Attributes that a route writes and its pool has not. */
const missingNames = ({ attributes }: PoolRules, place: CognitoPlace): readonly string[] =>
  writtenNames(place).filter((name) => !attributes.has(name));

const CUSTOM = "custom:";

/** Custom attributes that can be added to the pool for a route, without the prefix that Cognito puts before them. */
export const addableNames = (rules: PoolRules, place: CognitoPlace): readonly string[] =>
  missingNames(rules, place).flatMap((name) => (name.startsWith(CUSTOM) ? name.slice(CUSTOM.length) : []));

/** Why a pool cannot take a route's users, one sentence each; none where it can. */
export const poolFlaws = (rules: PoolRules, place: CognitoPlace): readonly string[] => {
  const { attributes, signInWith } = rules;
  const flaws: string[] = [];
  if (signInWith.length > 0)
    flaws.push(`its users have no username but ${signInWith.join(" or ")}; a route needs a pool with usernames`);
  const missing = missingNames(rules, place);
  if (missing.length > 0)
    flaws.push(`it has no attribute ${missing.join(", ")} (\`ferry check --create-attributes\` adds custom ones)`);
  if (place.attributes["sub"] !== undefined) flaws.push("sub is Cognito's own, and cannot be written");
  const absent = [...attributes.values()].filter(
    ({ name, isRequired }) => isRequired && !writtenNames(place).includes(name),
  );
  if (absent.length > 0)
    flaws.push(`it requires ${absent.map(({ name }) => name).join(", ")}, which the route's attributes do not name`);
  return flaws;
};

/** @throws FERRY_COGNITO_POOL with all that is in the way */
export const requirePool = (rules: PoolRules, place: CognitoPlace): void => {
  const flaws = poolFlaws(rules, place);
  if (flaws.length > 0) throw new FerryError("FERRY_COGNITO_POOL", `pool ${place.userPoolId}: ${flaws.join("; ")}`);
};
