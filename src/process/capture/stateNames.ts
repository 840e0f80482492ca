const SUFFIX = "_reverse";

/** Where what carries changes back after a cutover remembers, on the former source. */
export const reverseState = (stateDb: string): string => `${stateDb}${SUFFIX}`;

/** The state database of the run whose cutover it carries back after. */
export const forwardState = (stateDb: string): string =>
  stateDb.endsWith(SUFFIX) ? stateDb.slice(0, -SUFFIX.length) : stateDb;
