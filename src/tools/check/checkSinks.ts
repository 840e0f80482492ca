import { destinationText } from "#base/config/destination.ts";
import type { Route } from "#base/config/routes.ts";
import { FerryError } from "#base/errors/ferryError.ts";
import { systemClock } from "#base/flow/clock.ts";
import { parseNamespace } from "#base/flow/types.ts";
import type { MongoClient } from "#io/mongo/connect.ts";
import { sampleRaw } from "#io/mongo/rawReads.ts";
import { RouteFilter } from "#route/filter/routeFilter.ts";
import { kindOfSink, sharedBySinks } from "#sink/open/openSink.ts";
import type { Keeps } from "#sink/sink.ts";
import { type CheckResult, checking } from "./checkResult.ts";

/** How long a place may take to answer, ms. */
const ANSWER_MS = 20_000;
/** Documents of the source that are tried. */
const SAMPLE = 1000;

/** The places of routes that go to no collection; where the source is known, whether its documents can go there. */
export const checkSinks = async (
  routes: readonly Route[],
  { source, createAttributes }: Readonly<{ source: MongoClient | undefined; createAttributes: boolean }>,
): Promise<CheckResult[]> => {
  const results: CheckResult[] = [];
  const shared = sharedBySinks(systemClock);
  for (const route of routes) {
    const { can, requirePlace } = kindOfSink(route.to);
    if (can.transactions) continue; // a collection: `checkTarget` says what its deployment can
    const found = await checking("sink", async (say) => {
      const place = destinationText(route.to);
      const signal = AbortSignal.timeout(ANSWER_MS);
      const deps = { shared, signal, onRetry: () => undefined, createAttributes };
      const keeps = await requirePlace(route.to, deps);
      say("ok", `${route.name}: ${place} can take its documents, at-least-once with idempotent calls`);
      if (source === undefined) return;
      const { tried, refused, why } = await trySample(route, source, keeps);
      if (refused > 0)
        say(
          "fail",
          `${route.name}: ${place} would refuse ${refused} of ${tried} sampled documents, the first one because ${why}`,
          "each would become a dead letter: correct them, leave them out by the route's where, or map other fields",
        );
    });
    results.push(...found);
  }
  return results;
};

type SampleTrial = Readonly<{
  tried: number;
  refused: number;
  /** Of the first that is refused. */
  why: string;
}>;

const trySample = async (route: Route, source: MongoClient, keeps: Keeps): Promise<SampleTrial> => {
  const { db, coll } = parseNamespace(route.from);
  const filter = new RouteFilter(route);
  const documents = (await sampleRaw(source, db, coll, SAMPLE)).flatMap((before) => filter.document(before) ?? []);
  const reasons = documents.flatMap((document) => refusalOf(keeps, document) ?? []);
  return { tried: documents.length, refused: reasons.length, why: reasons[0] ?? "" };
};

const refusalOf = (keeps: Keeps, document: Uint8Array): string | undefined => {
  try {
    keeps(document);
    return undefined;
  } catch (error) {
    if (error instanceof FerryError) return error.detail;
    throw error;
  }
};
