import type { Entry } from "#apply/plan/entry.ts";
import type { RouteFilter } from "#route/filter/routeFilter.ts";

/** What a route makes of an entry on its way to the plan. */
export type Shape = (entry: Entry) => Entry;

/**
 * Entries through a route's filter. A delta that its rules cannot be applied to is marked as unclear: the lane writer looks
 * its document up, or sets it aside.
 */
export const shaper =
  (filter: RouteFilter): Shape =>
  (entry) => {
    if (entry.event === undefined || entry.dead !== undefined) return entry;
    const event = filter.event(entry.event);
    if (event === entry.event) return entry;
    if (event.op !== "needs-document") return { ...entry, event };
    return { ...entry, dead: { code: "FERRY_APPLY_DELTA", detail: event.why } };
  };
