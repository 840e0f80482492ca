import type { Entry } from "#apply/plan/entry.ts";
import type { ChangeEvent, LogRecord } from "#base/flow/types.ts";

/** An entry of a record that no lane can make anything of. */
export const poison = (
  record: LogRecord,
  code: "FERRY_APPLY_POISON" | "FERRY_APPLY_NAMESPACE",
  detail: string,
): Entry => ({ record, event: undefined, dead: { code, detail } });

/** What is left of an event that is older than an applied drop, or later than the fence that its services left behind. */
export const gone = (
  { ns, origin, at }: ChangeEvent,
  reason: "dropped-since" | "switched-since" = "dropped-since",
): ChangeEvent => ({ op: "noop", reason, ns, origin, at });
