import { BSON } from "bson";
import { identityOf } from "#base/bson/identity.ts";
import { rawId } from "#base/bson/rawValue.ts";
import { destinationText } from "#base/config/destination.ts";
import type { Route } from "#base/config/routes.ts";
import { assert } from "#base/errors/ferryError.ts";
import type { CollectionAt } from "#io/mongo/collections.ts";
import { documentKeyOf } from "#io/wire/documentKey.ts";
import type { SinkOf } from "#sink/open/openSink.ts";
import { type Form, isOfDocument, type Sink, type Survey } from "#sink/sink.ts";
import { type Expect, following, type Onto } from "./pairedRange.ts";
import { readVersions } from "./reads.ts";
import { judgedBy, type PairDeps } from "./routePairs.ts";
import { SideCursor } from "./side.ts";
import type { Compared, RangeComparison } from "./verification.ts";

export type KeptDeps = PairDeps & Readonly<{ sinkOf: SinkOf }>;

/** Documents whose keys are looked up at the source at a time. */
const AT_ONCE = 1000;

/**
 * A route whose target keeps documents in a form of its own, as it is compared: the target is surveyed once, the source's documents
 * are compared with what the survey saw, and those that differ are read one by one.
 * @throws FERRY_MONGO_*, what the sink throws
 */
export const keptRoute = async (route: Route, deps: KeptDeps): Promise<Compared> => {
  const sink = deps.sinkOf(route);
  const form = await formOf(sink);
  const { expect: carried = (document) => document, ...judged } = await judgedBy(route, deps);
  return {
    ...judged,
    to: destinationText(route.to),
    targetTime: async () => 0n,
    readTarget: async (keys) => ({ documents: byIdentity(await sink.read(keys)), at: 0n }),
    expect: (document) => expected(sink, form, carried(document)),
    onto: form.keepsGone ? orWhatIsThere : undefined,
    open: async (suspect) => {
      const survey = await form.survey();
      for await (const keys of survey.keys(AT_ONCE)) {
        const gone = await withoutDocument(judged.source, carried, keys);
        await suspect(gone.map((key) => ({ kind: "extra", key })));
      }
      return comparingWith(survey, judged.source, carried);
    },
  };
};

const formOf = (sink: Sink): Promise<Form> => {
  assert(sink.form !== undefined, `${sink.name} keeps documents as they are`);
  return sink.form();
};

const byIdentity = (documents: readonly Uint8Array[]): ReadonlyMap<string, Uint8Array> =>
  new Map(documents.map((document) => [identityOf(document), document]));

const orWhatIsThere: Onto = (wanted, actual) => wanted ?? actual;

/** One that the target refuses is no document that it could have: its dead letter excuses that. */
const expected = (sink: Sink, { keeps }: Form, document: Uint8Array | undefined): Uint8Array | undefined => {
  if (document === undefined) return undefined;
  try {
    return keeps(document);
  } catch (error) {
    if (!isOfDocument(sink.refusal(error))) throw error;
    return BSON.serialize({ _id: rawId(document), refused: true });
  }
};

/** Of these keys, those whose documents are gone from the source, or no longer carried. */
const withoutDocument = async (
  source: CollectionAt,
  carried: Expect,
  keys: readonly Uint8Array[],
): Promise<readonly Uint8Array[]> => {
  const found = await readVersions(source, keys, 0n);
  return keys.filter((key) => {
    const document = found.get(identityOf(key));
    return document === undefined || carried(document) === undefined;
  });
};

const comparingWith =
  (survey: Survey, source: CollectionAt, carried: Expect): RangeComparison =>
  async ({ batchSize, suspect, progress, signal }, bounds) => {
    await using reader = await SideCursor.open(source, bounds, batchSize);
    let reply = await reader.next();
    for (;;) {
      signal.throwIfAborted();
      const { documents } = reply;
      const unlike = await survey.unlike(documents.flatMap((document) => carried(document) ?? []));
      await suspect(unlike.map((key) => ({ kind: "different", key })));
      const next = await following(reader, reply);
      await progress(next?.documents[0] === undefined ? bounds.to : documentKeyOf(next.documents[0]), documents.length);
      if (next === undefined) return;
      reply = next;
    }
  };
