import type { Claim } from "#apply/lanes/claims.ts";
import type { Drops } from "#apply/lanes/drops.ts";
import type { RunStore } from "#apply/lanes/runStore.ts";
import { destinationText } from "#base/config/destination.ts";
import { plainRoute, type Route } from "#base/config/routes.ts";
import type { WorkerOptions } from "#base/config/workerOptions.ts";
import { faultPoint } from "#base/flow/fault.ts";
import { formatNamespace, freshWrite, type Namespace, parseNamespace, type TargetOp } from "#base/flow/types.ts";
import { readFrom, readRaw } from "#io/mongo/rawReads.ts";
import { topicMatcher } from "#io/wire/topics.ts";
import { RouteFilter } from "#route/filter/routeFilter.ts";
import { policyOf } from "#route/table/targetPolicy.ts";
import { incarnationsOf } from "#sink/sink.ts";
import type { ProvenSource } from "#source/stream/deployment.ts";
import { type FollowerDeps, StructureFollower } from "#structure/follow/structureFollower.ts";

export type RenameContext = Omit<FollowerDeps, "route" | "sink"> &
  Readonly<{
    claim: Claim;
    /** Undefined carries every topic to the namespace of its name. */
    routes: readonly Route[] | undefined;
    options: WorkerOptions;
    runs: RunStore;
    drops: Drops;
  }>;

/** The routes that carry what is now under the new name. */
export const routesOver = (
  { routes, options }: Pick<RenameContext, "routes" | "options">,
  to: Namespace,
): readonly Route[] => {
  const name = formatNamespace(to);
  if (!topicMatcher(options.topics)(name)) return [];
  return routes === undefined ? [plainRoute(name)] : routes.filter(({ from }) => from === name);
};

/** The partition of a barrier that was found in another route's log. */
const FOREIGN = -1;

/** Why the collection of a route cannot be copied again; undefined if it can. */
export const obstacle = async (context: RenameContext, route: Route): Promise<string | undefined> => {
  const { source, runs, options } = context;
  if (source === undefined) return "the worker has no --source to copy the renamed collection from";
  if (!context.sinkOf(route).can.incarnations)
    return `${destinationText(route.to)} cannot drop what it has now and nothing that comes later`;
  const run = await runs.run(route.name);
  const begun = run?.begun;
  const policy = begun?.policy ?? policyOf(route, options).policy;
  if (policy !== "mirror") return `under ${policy} the target's own documents would go with it`;
  if (route.drift.newField !== "pass" || route.drift.typeChange !== "pass")
    return `the drift policy of ${route.name} cannot be applied to documents that are copied again`;
  // Documents that a killed owner copied for this rename are ferry's: a collection with documents is refused earlier.
  const filling = run?.dropping?.partition === FOREIGN;
  if (begun === undefined && !filling && (await context.sinkOf(route).look()).occupied)
    return `${destinationText(route.to)} has documents, and ${route.name} has not begun`;
  return undefined;
};

/** A document that is deleted before it is written: its `_id` may be there in another spelling. */
const asNew = (doc: Uint8Array): readonly TargetOp[] => [{ op: "delete", key: doc }, freshWrite(doc)];

/** What a rename has put under the name that a route carries. */
export type Renamed = Readonly<{ source: ProvenSource; route: Route; at: bigint }>;

const copy = async (context: RenameContext, { source, route, at }: Renamed): Promise<number> => {
  const { drops, sinkOf, claim, hard } = context;
  const sink = sinkOf(route);
  const { fields, where } = route;
  const filter = fields === undefined && where === undefined ? undefined : new RouteFilter({ fields, where });
  let count = 0;
  for await (const batch of readRaw(await source(), parseNamespace(route.from), readFrom(at))) {
    hard.throwIfAborted();
    const documents = filter === undefined ? batch : batch.flatMap((doc) => filter.document(doc) ?? []);
    const write = (ops: readonly TargetOp[]): Promise<void> =>
      drops.within({ route: route.name, at, owner: claim }, (tx) =>
        sink.write(ops, sink.can.transactions ? tx : undefined),
      );
    try {
      await write(documents.map(freshWrite));
    } catch (error) {
      // A document that was deleted and inserted while the collection was read may be read twice.
      if (sink.refusal(error)?.kind !== "exists") throw error;
      await write(documents.flatMap(asNew));
    }
    faultPoint("mid-rename");
    count += documents.length;
  }
  return count;
};

/**
 * Gives a route the collection that another one has become by a rename: its old documents go, the source's present ones are
 * copied, and the log continues after the rename. What the log still holds from before the copy is applied on top of it, which
 * converges as it does after any copy. Where the events of the renamed collection stood in other partitions then does not
 * matter, nor whether they were captured at all.
 * @returns how many documents were copied; undefined where a later drop or rename was applied already
 * @throws FERRY_FENCED, FERRY_MONGO_*; the next owner of the partition repeats it
 */
export const copyAgain = async (context: RenameContext, renamed: Renamed): Promise<number | undefined> => {
  const { target, state, journal, drops, runs, claim, sinkOf, clock, logger, hard } = context;
  const { source, route, at } = renamed;
  const run = await runs.run(route.name);
  if (run?.dropAt !== undefined && run.dropAt.toBigInt() >= at) return undefined;
  const sink = sinkOf(route);
  const incarnations = incarnationsOf(sink);
  await drops.begin(route.name, FOREIGN, at, await incarnations.uuid());
  await drops.fence(route.name, FOREIGN);
  await drops.take({ route: route.name, at, owner: claim });
  // What an owner that was killed in the middle has copied goes as well.
  const there = await incarnations.uuid();
  if (there !== undefined) await incarnations.drop(there);
  const deps = { source, target, state, journal, route, sink, sinkOf, clock, logger, hard };
  await new StructureFollower(deps).prepare();
  const count = await copy(context, renamed);
  await runs.begin(route.name, { policy: "mirror", occupied: false, seeding: false });
  await drops.finish({ route: route.name, at, owner: claim }, new Map());
  logger.warn({ route: route.name, ns: route.from, count }, "collection renamed on the source: copied again");
  return count;
};
