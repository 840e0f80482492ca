import { type Destination, targetNamespace } from "#base/config/destination.ts";
import type { Route } from "#base/config/routes.ts";
import type { MongoClient } from "#io/mongo/connect.ts";
import { BEST_SITE, type TargetSite } from "#io/state/targetSite.ts";
import { COGNITO_ABILITIES } from "#sink/cognito/cognitoSink.ts";
import {
  type CognitoDeps,
  cognitoSinks,
  type PoolLookDeps,
  requireMapping,
  requirePoolOf,
  type SharedByPools,
  sharedByPools,
} from "#sink/cognito/openCognito.ts";
import { MongoSink, mongoAbilities } from "#sink/mongo/mongoSink.ts";
import type { Abilities, Keeps, Sink } from "#sink/sink.ts";

/** What a process makes once for all of its sinks, however often they are opened: the limits of a place are those of the process. */
export type SharedBySinks = SharedByPools;

export const sharedBySinks = sharedByPools;

/** What the sinks of a process are opened with. */
export type SinkDeps = CognitoDeps &
  Readonly<{
    target: MongoClient;
    site: TargetSite;
  }>;

/** What a place is looked at with, before there is anything else. */
export type PlaceDeps = PoolLookDeps;

type Routed = Pick<Route, "name" | "to">;

/** The sink of a route. Nothing is read or written yet. */
export type SinkOf = (route: Routed) => Sink;

/** A kind of target. */
type Kind = Readonly<{
  /** What it can do at best. */
  can: Abilities;
  /** What it can do where the MongoDB target lies. */
  canAt: (site: TargetSite) => Abilities;
  /** What its sinks are opened by; what they share is made once. */
  opening: (deps: SinkDeps) => SinkOf;
  /** Refuses a destination whose own rules contradict themselves. @throws FERRY_CONFIG */
  requireRules: (to: Destination) => void;
  /**
   * Looks whether the place itself can take documents, and writes no more than what is asked for to make it ready.
   * @returns what it keeps of a document
   * @throws one clear sentence
   */
  requirePlace: (to: Destination, deps: PlaceDeps) => Promise<Keeps>;
}>;

type KindName = Destination extends infer D ? (D extends unknown ? keyof D : never) : never;

/** All kinds, by their key in the configuration. */
const KINDS: Readonly<Record<KindName, Kind>> = {
  mongodb: {
    can: mongoAbilities(BEST_SITE),
    canAt: mongoAbilities,
    opening:
      ({ target, site }) =>
      (route) =>
        new MongoSink(target, targetNamespace(route), site),
    requireRules: () => undefined,
    requirePlace: async () => (document) => document, // looked at with the deployment that it is in
  },
  cognito: {
    can: COGNITO_ABILITIES,
    canAt: () => COGNITO_ABILITIES,
    opening: cognitoSinks,
    requireRules: requireMapping,
    requirePlace: requirePoolOf,
  },
};

const kindName = (to: Destination): KindName => Object.keys(to)[0] as KindName;

/** The kind of a destination. */
export const kindOfSink = (to: Destination): Kind => KINDS[kindName(to)];

/** What a destination can do: at best, while it is not known where the MongoDB target lies. */
export const abilitiesOf = (to: Destination, site: TargetSite = BEST_SITE): Abilities => kindOfSink(to).canAt(site);

export const sinkOpener = (deps: SinkDeps): SinkOf => {
  const opened = new Map<KindName, SinkOf>();
  return (route) => {
    const name = kindName(route.to);
    const open = opened.get(name) ?? KINDS[name].opening(deps);
    opened.set(name, open);
    return open(route);
  };
};
