import { parseNamespace } from "#base/flow/types.ts";
import type { MongoClient } from "#io/mongo/connect.ts";
import { MONGO_ABILITIES, MongoSink } from "#sink/mongo/mongoSink.ts";
import type { Sink } from "#sink/sink.ts";

/** What the sinks of a process are opened with. */
export type SinkDeps = Readonly<{
  target: MongoClient;
  /** False on a standalone target, which has no transactions. */
  transactional: boolean;
}>;

/** The sink of a route. Nothing is read or written yet. */
export type SinkOf = (route: Readonly<{ to: string }>) => Sink;

export const sinkOpener =
  ({ target, transactional }: SinkDeps): SinkOf =>
  ({ to }) =>
    new MongoSink(target, parseNamespace(to), { ...MONGO_ABILITIES, transactions: transactional });
