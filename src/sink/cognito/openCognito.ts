import type { CognitoPlace } from "#base/config/cognitoDestination.ts";
import { type Destination, destinationText } from "#base/config/destination.ts";
import { assert } from "#base/errors/ferryError.ts";
import type { Clock } from "#base/flow/clock.ts";
import type { Logger } from "#base/observe/log.ts";
import { tryingAgain } from "#base/observe/tryingAgain.ts";
import type { Vitals } from "#base/observe/vitals.ts";
import type { StateDb } from "#io/state/stateDb.ts";
import type { Keeps } from "#sink/sink.ts";
import { type Caller, CognitoAccounts } from "./cognitoAccount.ts";
import { CognitoSink } from "./cognitoSink.ts";
import { keepsUsers } from "./keptUser.ts";
import { readPool } from "./readPool.ts";
import { RouteTally } from "./routeTally.ts";
import { UserBook } from "./userBook.ts";
import { UserMapping } from "./userMapping.ts";
import { UserPool } from "./userPool.ts";

/** What a process makes once for all of its pools, however often their sinks are opened. */
export type SharedByPools = Readonly<{ accounts: CognitoAccounts }>;

export const sharedByPools = (clock: Clock): SharedByPools => ({ accounts: new CognitoAccounts(clock) });

export type CognitoDeps = Readonly<{
  shared: SharedByPools;
  state: StateDb;
  clock: Clock;
  logger: Logger;
  vitals: Vitals;
  signal: AbortSignal;
}>;

const placeOf = (to: Destination): CognitoPlace => {
  assert("cognito" in to, `${destinationText(to)} is no user pool`);
  return to.cognito;
};

/** Opens sinks whose pools share the quotas of their account and region. */
export const cognitoSinks = (deps: CognitoDeps) => {
  const { shared, state, clock, signal } = deps;
  const caller = { signal, onRetry: tryingAgain(deps, "sink") };
  const tallies = new Map<string, RouteTally>();
  const tallyOf = (of: Readonly<{ route: string; pool: string }>): RouteTally => {
    const tally = tallies.get(of.route) ?? new RouteTally(of, deps);
    tallies.set(of.route, tally);
    return tally;
  };
  return ({ name: route, to }: Readonly<{ name: string; to: Destination }>): CognitoSink => {
    const place = placeOf(to);
    const pool = new UserPool(shared.accounts.of(place), place.userPoolId, caller);
    const of = { route, pool: pool.id };
    return new CognitoSink({ place, pool, book: new UserBook(state, of, clock), tally: tallyOf(of), clock });
  };
};

/** What a pool is looked at with. `createAttributes`: custom ones that the route names and the pool lacks are added to it. */
export type PoolLookDeps = Caller & Readonly<{ shared: SharedByPools; createAttributes?: boolean }>;

/** @throws FERRY_CONFIG for rules that contradict themselves */
export const requireMapping = (to: Destination): void => {
  new UserMapping(placeOf(to));
};

/**
 * Looks whether the pool of a destination is there and can take its users; writes no more than the attributes that are asked for.
 * @returns what it keeps of a document
 * @throws FERRY_COGNITO_*
 */
export const requirePoolOf = async (to: Destination, deps: PoolLookDeps): Promise<Keeps> => {
  const place = placeOf(to);
  const pool = new UserPool(deps.shared.accounts.of(place), place.userPoolId, deps);
  return keepsUsers(new UserMapping(place), await readPool(pool, place, deps.createAttributes));
};
