import { destinationText } from "#base/config/destination.ts";
import type { Route } from "#base/config/routes.ts";
import { systemClock } from "#base/flow/clock.ts";
import { kindOfSink } from "#sink/open/openSink.ts";
import { type CheckResult, checking } from "./checkResult.ts";

/** How long a place may take to answer, ms. */
const ANSWER_MS = 20_000;

/** The places of routes that go to no collection; what those promise is said with them. */
export const checkSinks = async (routes: readonly Route[]): Promise<CheckResult[]> => {
  const results: CheckResult[] = [];
  for (const { name, to } of routes) {
    const { can, requirePlace } = kindOfSink(to);
    if (can.transactions) continue; // a collection: `checkTarget` says what its deployment can
    const found = await checking("sink", async (say) => {
      const signal = AbortSignal.timeout(ANSWER_MS);
      await requirePlace(to, { clock: systemClock, signal, onRetry: () => undefined });
      say("ok", `${name}: ${destinationText(to)} can take its documents, at-least-once with idempotent calls`);
    });
    results.push(...found);
  }
  return results;
};
