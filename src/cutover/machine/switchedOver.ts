import { switchedTopics } from "#apply/lanes/switchedRoutes.ts";
import type { StateDb } from "#io/state/stateDb.ts";
import { readCapture } from "#source/capture/captureStore.ts";
import { readSentOver } from "./cutoverStore.ts";
import { isCutoverOf, isSwitchedBy } from "./record.ts";

/**
 * Do services of a topic write to the target? From the release on, so before the routes are noted as moved; a run that has taken
 * the place of the one that was switched over begins with all of them on the source. @throws FERRY_MONGO_*
 */
export const switchedOver = async (state: StateDb): Promise<(topic: string) => boolean> => {
  const [marked, sent, capture] = await Promise.all([switchedTopics(state), readSentOver(state), readCapture(state)]);
  // Of connectors each route is marked when the cutover ends.
  const mine = sent.filter(
    (record) => record.state === "ending" || (capture !== undefined && isCutoverOf(record, capture)),
  );
  return (topic) => marked.has(topic) || mine.some((record) => isSwitchedBy(record, topic));
};
