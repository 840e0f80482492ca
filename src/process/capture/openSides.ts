import { parseNamespace } from "#base/flow/types.ts";
import { type MongoClient, readTopology } from "#io/mongo/connect.ts";
import { mongoServer, throughOutages } from "#io/mongo/outages.ts";
import { reachMongo, sayIgnored } from "#io/mongo/reach.ts";
import type { StateDb } from "#io/state/stateDb.ts";
import { siteOf } from "#io/state/targetSite.ts";
import { openState } from "#process/worker/openState.ts";
import type { AskedOfTargets } from "#sink/open/demands.ts";
import { requireFits } from "#sink/open/fits.ts";
import { type SinkOf, sinkOpener } from "#sink/open/openSink.ts";
import type { CaptureDeps } from "./captureOpening.ts";
import { scopeOf } from "./captureScope.ts";
import { requireCarriable } from "./namedScope.ts";

/** Both sides of a capture, connected, and what ferry remembers with. Disposing of them closes every connection. */
export type Sides = AsyncDisposable &
  Readonly<{
    source: MongoClient;
    target: MongoClient;
    state: StateDb;
    /** The connection of `state`, where that is another deployment than the target. */
    apart: MongoClient | undefined;
    sinkOf: SinkOf;
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
  for (const side of ["source", "target"] as const) sayIgnored(side, settings[side], logger);
  const outages = { clock, logger, signal };
  await using stack = new AsyncDisposableStack();
  const open = async (side: "source" | "target"): Promise<MongoClient> => {
    const pastValidators = side === "target" && back !== undefined;
    const client = await reachMongo(settings[side], { side, appName: runId, pastValidators, clock, logger, signal });
    stack.defer(() => client.close());
    return client;
  };
  const [source, target] = [await open("source"), await open("target")];
  const servers = [mongoServer("the target", target)];
  const looked = await throughOutages("opening ferry's state", servers, outages, async () => ({
    topology: await readTopology(target),
    memory: await openState(target, settings, { appName: runId, clock, logger, signal }),
  }));
  const { state, apart } = stack.use(looked.memory);
  const site = siteOf(looked.topology, apart);
  requireFits(meant, asked, site);
  const sinkOf = sinkOpener({ target, site, state, clock, logger, vitals, signal: hard });
  const kept = stack.move();
  return {
    ...{ source, target, state, apart: apart && state.client, sinkOf },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
};
