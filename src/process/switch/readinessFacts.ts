import { isSameScope } from "#cutover/machine/record.ts";
import type { SwitchReadiness } from "./switchover.ts";

/** What `--ready` tells, as JSON tells it. */
export type ReadinessFacts = Readonly<{
  ready: boolean;
  missing: readonly Readonly<{ code: string; detail: string; hint: string }>[];
  /** Of a rehearsal of the same names. */
  expectedPauseMs: number | null;
  rehearsal: Readonly<{ at: Date; namespaces: readonly string[] }> | null;
  noWayBack: readonly string[];
}>;

/** @param asked the namespaces that were named; none: everything */
export const readinessFacts = (
  { missing, last, noWayBack }: SwitchReadiness,
  asked: readonly string[],
): ReadinessFacts => ({
  ready: missing.length === 0,
  missing: missing.map(({ code, detail, entry }) => ({ code, detail, hint: entry.hint })),
  expectedPauseMs: last !== undefined && isSameScope(last, asked) ? last.pauseMs : null,
  rehearsal: last === undefined ? null : { at: last.at, namespaces: last.namespaces ?? [] },
  noWayBack,
});
