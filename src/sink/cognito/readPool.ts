import type { CognitoPlace } from "#base/config/cognitoDestination.ts";
import { addableNames, type PoolRules, poolRulesOf, requirePool } from "./poolRules.ts";
import type { PoolCalls } from "./userPool.ts";

const rulesOf = async (pool: PoolCalls, { groups }: CognitoPlace): Promise<PoolRules> =>
  poolRulesOf(await pool.describe(), groups === undefined ? [] : await pool.groups());

/**
 * What a pool says of its users, as far as a route needs it.
 * @param create custom attributes that the route names and the pool lacks are added to it
 * @throws FERRY_COGNITO_*: one that cannot take the route's users is refused
 */
export const readPool = async (pool: PoolCalls, place: CognitoPlace, create = false): Promise<PoolRules> => {
  const found = await rulesOf(pool, place);
  const lacking = create ? addableNames(found, place) : [];
  if (lacking.length > 0) await pool.addAttributes(lacking);
  const rules = lacking.length > 0 ? await rulesOf(pool, place) : found;
  requirePool(rules, place);
  return rules;
};
