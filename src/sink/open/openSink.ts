import { type Destination, targetNamespace } from "#base/config/destination.ts";
import type { MongoClient } from "#io/mongo/connect.ts";
import { MONGO_ABILITIES, MongoSink } from "#sink/mongo/mongoSink.ts";
import type { Abilities, Sink } from "#sink/sink.ts";

/** What the sinks of a process are opened with. */
export type SinkDeps = Readonly<{
  target: MongoClient;
  /** False on a standalone target, which has no transactions. */
  transactional: boolean;
}>;

type Routed = Readonly<{ to: Destination }>;

/** A kind of target: what it can do at best, and how one of its sinks is opened. */
type Kind = Readonly<{ can: Abilities; open: (route: Routed, deps: SinkDeps) => Sink }>;

type KindName = Destination extends infer D ? (D extends unknown ? keyof D : never) : never;

/** All kinds, by their key in the configuration. */
const KINDS: Readonly<Record<KindName, Kind>> = {
  mongodb: {
    can: MONGO_ABILITIES,
    open: (route, { target, transactional }) =>
      new MongoSink(target, targetNamespace(route), { ...MONGO_ABILITIES, transactions: transactional }),
  },
};

const kindOf = (to: Destination): Kind => KINDS[Object.keys(to)[0] as KindName];

/** What a destination's kind can do at best. */
export const abilitiesOf = (to: Destination): Abilities => kindOf(to).can;

/** The sink of a route. Nothing is read or written yet. */
export type SinkOf = (route: Routed) => Sink;

export const sinkOpener =
  (deps: SinkDeps): SinkOf =>
  (route) =>
    kindOf(route.to).open(route, deps);
