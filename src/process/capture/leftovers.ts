import { identityOf } from "#base/bson/identity.ts";
import { destinationText } from "#base/config/destination.ts";
import type { Route } from "#base/config/routes.ts";
import type { WorkerOptions } from "#base/config/workerOptions.ts";
import { formatNamespace, type Namespace } from "#base/flow/types.ts";
import type { Logger } from "#base/observe/log.ts";
import type { MongoClient } from "#io/mongo/connect.ts";
import { missingKeys, readByKeys, readFrom } from "#io/mongo/rawReads.ts";
import { compileWhere } from "#route/filter/where.ts";
import { routesOn } from "#route/table/routesOn.ts";
import { policyOf } from "#route/table/targetPolicy.ts";
import type { SinkOf } from "#sink/open/openSink.ts";
import type { Sink } from "#sink/sink.ts";

const KEYS_AT_ONCE = 2000;
/** Where their documents are read as well, which may be large. */
const DOCUMENTS_AT_ONCE = 100;

type Leftovers = Readonly<{ atOnce: number; among: (keys: readonly Uint8Array[]) => Promise<Uint8Array[]> }>;

/** With a row filter, a document that does not match any more has left the route as one that is deleted has. */
const leftoversOf = ({ where }: Route, source: MongoClient, { db, coll }: Namespace, at: bigint): Leftovers => {
  const time = readFrom(at);
  if (where === undefined) return { atOnce: KEYS_AT_ONCE, among: (keys) => missingKeys(source, db, coll, keys, time) };
  const belongs = compileWhere(where);
  return {
    atOnce: DOCUMENTS_AT_ONCE,
    among: async (keys) => {
      const found = await readByKeys(source, db, coll, keys, time);
      const staying = new Set(found.filter(belongs).map(identityOf));
      return keys.filter((key) => !staying.has(identityOf(key)));
    },
  };
};

export type LeftoversDeps = Readonly<{
  source: MongoClient;
  sinkOf: SinkOf;
  routes: readonly Route[] | undefined;
  options: Pick<WorkerOptions, "conflict">;
  logger: Logger;
}>;

/** Why nothing can be removed; undefined where it can. */
const reasonToStay = (route: Route, sink: Sink, options: LeftoversDeps["options"]): string | undefined => {
  if (policyOf(route, options).policy !== "mirror") return "under the route's policy they may be the target's own";
  return sink.can.keys ? undefined : `${destinationText(route.to)} does not list its documents`;
};

/**
 * What a re-copy must remove: documents on the target that the source has no more, or that left the row filter. Only where the source owns whole
 * documents; under the other policies a document without a counterpart may be the target's own.
 */
export const leftoversOn = ({
  source,
  sinkOf,
  routes,
  options,
  logger,
}: LeftoversDeps): ((ns: Namespace, at: bigint) => AsyncGenerator<readonly Uint8Array[]>) =>
  async function* (ns, at) {
    const topic = formatNamespace(ns);
    for (const route of routesOn(routes, topic)) {
      const sink = sinkOf(route);
      const why = reasonToStay(route, sink, options);
      if (why !== undefined) {
        logger.warn(
          { route: route.name },
          `documents that the source deleted while its history was lost stay on the target: ${why}`,
        );
        continue;
      }
      let count = 0;
      const { atOnce, among } = leftoversOf(route, source, ns, at);
      for await (const keys of sink.keys(atOnce)) {
        const gone = await among(keys);
        count += gone.length;
        if (gone.length > 0) yield gone;
      }
      logger.info({ route: route.name, count }, "documents that the source no longer has are removed from the target");
    }
  };
