import type { Route } from "#config/routes.ts";
import { formatNamespace, type Namespace, parseNamespace } from "#flow/types.ts";
import type { MongoClient } from "#mongo/connect.ts";
import { missingKeys } from "#mongo/rawReads.ts";
import type { Logger } from "#observe/log.ts";
import { MongoSink } from "#sink/mongoSink.ts";
import { policyOf } from "./beginning.ts";
import { routesOn } from "./routesOn.ts";
import type { WorkerOptions } from "./workerOptions.ts";

const KEYS_AT_ONCE = 2000;

/**
 * What a re-copy must remove: documents on the target that the source has no more. Only where the source owns whole
 * documents; under the other policies a document without a counterpart may be the target's own.
 */
export const leftoversOn = (
  source: MongoClient,
  target: MongoClient,
  routes: readonly Route[] | undefined,
  options: Pick<WorkerOptions, "conflict">,
  logger: Logger,
): ((ns: Namespace) => AsyncGenerator<readonly Uint8Array[]>) =>
  async function* (ns) {
    const topic = formatNamespace(ns);
    for (const route of routesOn(routes, topic)) {
      if (policyOf(route, options).policy !== "mirror") {
        logger.warn(
          { route: route.name },
          "documents that the source deleted while its history was lost stay on the target: the route's policy lets the target have its own",
        );
        continue;
      }
      let count = 0;
      for await (const keys of new MongoSink(target, parseNamespace(route.to)).keys(KEYS_AT_ONCE)) {
        const gone = await missingKeys(source, ns.db, ns.coll, keys);
        count += gone.length;
        if (gone.length > 0) yield gone;
      }
      logger.info({ route: route.name, count }, "documents that the source has no more are removed from the target");
    }
  };
