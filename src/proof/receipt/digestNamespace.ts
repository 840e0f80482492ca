import type { CollectionAt } from "#io/mongo/collections.ts";
import { batchSizeOf, readRanges } from "#proof/verify/bounds.ts";
import { Digest } from "#proof/verify/digest.ts";
import type { Pair } from "#proof/verify/pair.ts";
import { type Bounds, SideCursor } from "#proof/verify/side.ts";
import type { DocumentSet } from "./format.ts";

/** Ranges that are read concurrently, of each side. */
const READERS = 2;

const setOf = (digest: Digest): DocumentSet => ({ count: digest.count, digest: digest.sum() });

const each = async (
  side: CollectionAt,
  bounds: Bounds,
  batchSize: number,
  take: (document: Uint8Array) => void,
  signal: AbortSignal,
): Promise<void> => {
  await using cursor = await SideCursor.open(side, bounds, batchSize);
  for (let ended = false; !ended; ) {
    signal.throwIfAborted();
    const reply = await cursor.next();
    for (const document of reply.documents) take(document);
    ended = reply.ended;
  }
};

/** The digests of both sides of a route, and of what the route makes of the source's documents. @throws FERRY_MONGO_*, the signal's reason */
export const digestNamespace = async (
  { source, target, expect, learn }: Pair,
  signal: AbortSignal,
): Promise<Readonly<Record<"source" | "expected" | "target", DocumentSet>>> => {
  await learn();
  const [raw, expected, there] = [new Digest(), new Digest(), new Digest()];
  const fromSource = (document: Uint8Array): void => {
    raw.add(document);
    const wanted = expect?.(document);
    if (wanted !== undefined) expected.add(wanted);
  };
  const [ranges, batchSize] = [[...(await readRanges(source))], await batchSizeOf(source)];
  await Promise.all(
    Array.from({ length: READERS }, async () => {
      for (let bounds = ranges.shift(); bounds !== undefined; bounds = ranges.shift())
        await Promise.all([
          each(source, bounds, batchSize, fromSource, signal),
          each(target, bounds, batchSize, (document) => there.add(document), signal),
        ]);
    }),
  );
  return { source: setOf(raw), expected: setOf(expect === undefined ? raw : expected), target: setOf(there) };
};
