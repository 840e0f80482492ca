/**
 * One look at both sides of a collection by a process of its own: `raw` reads them and compares nothing, `ferry` verifies them.
 * Usage: verifyPass.ts SOURCE TARGET raw|ferry STATE_DB ROUTE (JSON) → { documents, perSecond, wrong, rssMb }
 */

import { targetNamespace } from "#base/config/destination.ts";
import type { Route } from "#base/config/routes.ts";
import { systemClock } from "#base/flow/clock.ts";
import { parseNamespace } from "#base/flow/types.ts";
import type { CollectionAt } from "#io/mongo/collections.ts";
import { connectMongo } from "#io/mongo/connect.ts";
import { measureBatch } from "#io/mongo/rawCursor.ts";
import { StateDb } from "#io/state/stateDb.ts";
import { batchSizeOf, readRanges } from "#proof/verify/bounds.ts";
import { comparedPair } from "#proof/verify/pair.ts";
import { clusterTimeOf } from "#proof/verify/reads.ts";
import { pairOf } from "#proof/verify/routePairs.ts";
import { type Bounds, SideCursor } from "#proof/verify/side.ts";
import { Verification } from "#proof/verify/verification.ts";
import { VerificationStore } from "#proof/verify/verificationStore.ts";
import { peakMb } from "./processes.ts";

/** As many concurrent ranges as a verification reads. */
const READERS = 2;

const [, , from = "", to = "", mode = "", stateDb = "", text = ""] = process.argv;
const [source, target] = await Promise.all([from, to].map((uri) => connectMongo(uri, { appName: "bench" })));
if (source === undefined || target === undefined) throw new Error("both sides are needed");
const route = JSON.parse(text) as Route;
const signal = AbortSignal.timeout(600_000);

const readSide = async (side: CollectionAt, bounds: Bounds, batchSize: number): Promise<number> => {
  await using cursor = await SideCursor.open(side, bounds, batchSize);
  for (let count = 0; ; ) {
    const reply = await cursor.next();
    count += measureBatch(reply.batch).count;
    if (reply.ended) return count;
  }
};

const readBoth = async (): Promise<{ documents: number; wrong: number }> => {
  const here: CollectionAt = { client: source, ns: parseNamespace(route.from) };
  const there: CollectionAt = { client: target, ns: targetNamespace(route) };
  const [ranges, batchSize] = [[...(await readRanges(here))], await batchSizeOf(here)];
  let documents = 0;
  await Promise.all(
    Array.from({ length: READERS }, async () => {
      for (let range = ranges.shift(); range !== undefined; range = ranges.shift()) {
        const bounds = range;
        const [count] = await Promise.all([here, there].map((side) => readSide(side, bounds, batchSize)));
        documents += count ?? 0;
      }
    }),
  );
  return { documents, wrong: 0 };
};

const verify = async (): Promise<{ documents: number; wrong: number }> => {
  const state = new StateDb(target, stateDb);
  const store = new VerificationStore(state);
  const applied = (): Promise<bigint> => clusterTimeOf(source); // no writes
  const pair = await pairOf(route, { source, target, state, applied, clock: systemClock, signal });
  return new Verification(comparedPair(pair), {
    ...{
      store,
      clock: systemClock,
      signal,
      throttle: undefined,
      readers: READERS,
      graceMs: 10_000,
      patienceMs: 10_000,
    },
    onRetry: ({ detail }) => {
      throw new Error(detail);
    },
    onProgress: () => undefined,
  }).pass();
};

const began = performance.now();
const { documents, wrong } = await (mode === "raw" ? readBoth() : verify());
const seconds = (performance.now() - began) / 1000;
const rssMb = peakMb(process.pid);
console.log(JSON.stringify({ documents, perSecond: documents / seconds, wrong, rssMb }));
await Promise.all([source.close(), target.close()]);
