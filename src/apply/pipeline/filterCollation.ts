import { isMongo, targetNamespace } from "#base/config/destination.ts";
import type { Route } from "#base/config/routes.ts";
import { FerryError } from "#base/errors/ferryError.ts";
import { formatNamespace, type Namespace } from "#base/flow/types.ts";
import type { Logger } from "#base/observe/log.ts";
import { collationOf } from "#io/mongo/collation.ts";
import type { MongoClient } from "#io/mongo/connect.ts";
import { comparesText } from "#route/filter/where.ts";
import type { ProvenSource } from "#source/stream/deployment.ts";

export type FilterCollationDeps = Readonly<{
  route: Route;
  from: Namespace;
  source: ProvenSource | undefined;
  target: MongoClient;
  logger: Logger;
}>;

/**
 * Sees to it that a row filter chooses what the source's `find` would choose: it compares text byte by byte, and a collection may
 * compare otherwise. Asked where a partition is opened and after each change of the collection, which may have been made again.
 * A worker that has no source looks at the target, which has the source's structure if ferry has built it.
 */
export class FilterCollation {
  readonly #deps: FilterCollationDeps;

  private constructor(deps: FilterCollationDeps) {
    this.#deps = deps;
  }

  /** @throws FERRY_ROUTE_COLLATION, FERRY_MONGO_* */
  static async open(deps: FilterCollationDeps): Promise<FilterCollation> {
    const guard = new FilterCollation(deps);
    const { route, source, logger } = deps;
    if (source === undefined && comparesText(route.where))
      logger.warn(
        { route: route.name },
        "where compares text byte by byte; without --source a default collation of the source's collection is not seen",
      );
    await guard.look();
    return guard;
  }

  /** Looks again. @throws FERRY_ROUTE_COLLATION, FERRY_MONGO_* */
  async look(): Promise<void> {
    const { route, from, source, target } = this.#deps;
    if (!comparesText(route.where)) return;
    const looked =
      source !== undefined
        ? await collationOf(await source(), from)
        : isMongo(route)
          ? await collationOf(target, targetNamespace(route))
          : undefined;
    if (looked !== undefined)
      throw new FerryError(
        "FERRY_ROUTE_COLLATION",
        `${route.name}: where compares text, and ${formatNamespace(from)} has the default collation ${String(looked["locale"])}`,
      );
  }
}
