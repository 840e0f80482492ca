import type { Route } from "#base/config/routes.ts";
import { parseNamespace } from "#base/flow/types.ts";
import type { MongoClient } from "#io/mongo/connect.ts";
import { sampleRaw } from "#io/mongo/rawReads.ts";
import { RouteFilter } from "#route/filter/routeFilter.ts";

/** One document before and after. `after` is undefined where the row filter leaves it out. */
export type Tried = Readonly<{ before: Uint8Array; after: Uint8Array | undefined; lost: readonly string[] }>;

export type Trial = Readonly<{
  route: string;
  documents: readonly Tried[];
  /** Paths that stay out, with the number of sampled documents that have them. */
  lost: Readonly<Record<string, number>>;
  /** Documents that the row filter leaves out. */
  leftOut: number;
  bytesBefore: number;
  bytesAfter: number;
}>;

/** What a route would make of a sample of the source's documents. @throws FERRY_CONFIG, FERRY_MONGO_* */
export const tryFilter = async (route: Route, source: MongoClient, sample: number): Promise<Trial> => {
  const filter = new RouteFilter(route);
  const { db, coll } = parseNamespace(route.from);
  const documents = (await sampleRaw(source, db, coll, sample)).map((before): Tried => {
    const after = filter.document(before);
    return { before, after, lost: after === undefined ? [] : filter.lost(before) };
  });
  const lost: Record<string, number> = {};
  for (const path of documents.flatMap((tried) => tried.lost)) lost[path] = (lost[path] ?? 0) + 1;
  return {
    route: route.name,
    documents,
    lost,
    leftOut: documents.filter(({ after }) => after === undefined).length,
    bytesBefore: documents.reduce((sum, { before }) => sum + before.length, 0),
    bytesAfter: documents.reduce((sum, { after }) => sum + (after?.length ?? 0), 0),
  };
};
