import { DEFAULT_STATE_DB } from "#base/config/settings.ts";
import { forwardState } from "#process/capture/stateNames.ts";

/**
 * What switches services over, as an operator types it: with the state database where it has to be named.
 * @param stateDb of the run that carries; behind a rollback, of the one that carries back
 */
export const switchCommand = (name: "cutover" | "rollback", stateDb: string): string => {
  const forward = name === "rollback" ? forwardState(stateDb) : stateDb;
  return forward === DEFAULT_STATE_DB ? `ferry ${name}` : `ferry ${name} --state-db ${forward}`;
};
