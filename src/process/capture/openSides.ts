import { parseNamespace } from "#base/flow/types.ts";
import type { MongoClient, ServerSide } from "#io/mongo/connect.ts";
import { reachMongo } from "#io/mongo/reach.ts";
import type { StateDb } from "#io/state/stateDb.ts";
import { openTarget, sayIgnoredOptions } from "#process/worker/openTarget.ts";
import type { AskedOfTargets } from "#sink/open/demands.ts";
import { requireFits } from "#sink/open/fits.ts";
import { type SharedBySinks, type SinkOf, sharedBySinks, sinkOpener } from "#sink/open/openSink.ts";
import type { CaptureDeps } from "./captureOpening.ts";
import { scopeOf } from "./captureScope.ts";
import { requireCarriable } from "./namedScope.ts";

/** Both sides of a capture, connected, and what ferry remembers with. Disposing of them closes every connection. */
export type Sides = AsyncDisposable &
  Readonly<{
    source: MongoClient;
    target: MongoClient;
    /** What `target` is called in a sentence. */
    side: ServerSide;
    state: StateDb;
    /** The connection of `state`, where that is another deployment than the target. */
    apart: MongoClient | undefined;
    sinkOf: SinkOf;
    shared: SharedBySinks;
  }>;

/**
 * @param asked what the targets of the routes within the scope must be able to do
 * @throws FERRY_USAGE for names that can never be carried, what `requireFits` throws, FERRY_MONGO_*
 */
export const openSides = async (deps: CaptureDeps, asked: AskedOfTargets): Promise<Sides> => {
  const { settings, runId, soft: signal, hard, clock, logger, vitals, back, spec, routes } = deps;
  // What is wrong by itself is said before a server is waited for.
  const scope = scopeOf(spec, routes, settings.stateDb);
  requireCarriable(scope.spec, settings.stateDb);
  const meant = routes?.filter(({ from }) => scope.has(parseNamespace(from)));
  requireFits(meant, asked);
  sayIgnoredOptions(settings, logger);
  const reaching = { appName: runId, clock, logger, signal };
  await using stack = new AsyncDisposableStack();
  const source = await reachMongo(settings.source, { ...reaching, side: "source" });
  stack.defer(() => source.close());
  const opened = stack.use(await openTarget(settings, { ...reaching, pastValidators: back !== undefined }));
  const { client: target, side, site, state, apart } = opened;
  requireFits(meant, asked, site);
  const shared = sharedBySinks(clock);
  const sinkOf = sinkOpener({ shared, target, site, state, clock, logger, vitals, signal: hard });
  const kept = stack.move();
  return {
    ...{ source, target, side, state, apart: apart && state.client, sinkOf, shared },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
};
